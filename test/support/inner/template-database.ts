import { existsSync } from 'node:fs';
import { cp, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { migrate } from '../../../src/db/engine/migrate.ts';
import { templateName } from './template-name.ts';

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
