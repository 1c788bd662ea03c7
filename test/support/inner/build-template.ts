import { cpSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../../../src/db/database.ts';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { migrate } from '../../../src/db/engine/migrate.ts';

/** Removes the unused databases `template0` and `template1`, which make up two thirds of the files. */
const dropBuiltInTemplates = [
  'UPDATE pg_database SET datistemplate = false, datallowconn = true',
  'DROP DATABASE template0',
  'DROP DATABASE template1',
];

/** Builds a folder with the embedded databases `empty` and `migrated` at `path`. */
export async function buildTemplate(path: string): Promise<void> {
  const draft = await mkdtemp(`${path}-building-`);
  const [empty, migrated] = [join(draft, 'empty'), join(draft, 'migrated')];
  await withDatabase(empty, async (database) => {
    for (const statement of dropBuiltInTemplates) await database.runScript(statement);
  });
  cpSync(empty, migrated, { recursive: true });
  await withDatabase(migrated, migrate);
  // If another test worker has built the template meanwhile, use that one.
  await rename(draft, path).catch(() => rm(draft, { recursive: true, force: true }));
}

/** Opens the database in `directory`, runs `work`, and closes it after a checkpoint. */
async function withDatabase(
  directory: string,
  work: (database: Database) => Promise<unknown>,
): Promise<void> {
  const database = await openEmbeddedDatabase(directory);
  await work(database);
  await database.runScript('CHECKPOINT');
  await database.close();
}
