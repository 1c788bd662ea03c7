import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { migrate } from '../../../src/db/migrate.ts';

const root = join(import.meta.dirname, '../../..');

/** Names what a template depends on: the engine and the migrations. */
async function templateName(): Promise<string> {
  const hash = createHash('sha256');
  hash.update(await readFile(join(root, 'node_modules/@electric-sql/pglite/package.json')));
  const migrations = join(root, 'src/db/migrations');
  for (const name of (await readdir(migrations)).toSorted())
    hash.update(await readFile(join(migrations, name)));
  return `vitrine-test-database-${hash.digest('hex').slice(0, 16)}`;
}

/** A migrated, closed database to copy: making one takes seconds, so it is kept between runs. */
async function template(): Promise<string> {
  const path = join(tmpdir(), await templateName());
  if (existsSync(path)) return path;
  const building = await mkdtemp(`${path}-building-`);
  const database = await openEmbeddedDatabase(join(building, 'db'));
  await migrate(database);
  await database.close();
  // Another test file may have been faster; its template is as good.
  await rename(join(building, 'db'), path).catch(() => undefined);
  await rm(building, { recursive: true, force: true });
  return path;
}

/** Copies a migrated database to `directory`. */
export async function copyTemplate(directory: string): Promise<void> {
  await cp(await template(), directory, { recursive: true });
}
