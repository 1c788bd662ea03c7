import { cpSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../../../src/db/database.ts';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { migrate } from '../../../src/db/engine/migrate.ts';

/**
 * Statements that remove the unused databases `template0` and `template1`. These databases contain two thirds of an
 * embedded database's files.
 */
const dropBuiltInTemplates = [
  'UPDATE pg_database SET datistemplate = false, datallowconn = true',
  'DROP DATABASE template0',
  'DROP DATABASE template1',
];

/** Builds a folder at `path` that contains the embedded databases `empty` and `migrated`. */
export async function buildTemplate(path: string): Promise<void> {
  const draftFolder = await mkdtemp(`${path}-building-`);
  const [emptyFolder, migratedFolder] = [join(draftFolder, 'empty'), join(draftFolder, 'migrated')];
  await withDatabase(emptyFolder, async (database) => {
    for (const statement of dropBuiltInTemplates) await database.runScript(statement);
  });
  cpSync(emptyFolder, migratedFolder, { recursive: true });
  await withDatabase(migratedFolder, migrate);
  // If a concurrent test worker has already built the template, use that template.
  await rename(draftFolder, path).catch(() => rm(draftFolder, { recursive: true, force: true }));
}

/** Opens the database in `directory`, runs `work`, writes a checkpoint, and closes the database. */
async function withDatabase(
  directory: string,
  work: (database: Database) => Promise<unknown>,
): Promise<void> {
  const database = await openEmbeddedDatabase(directory);
  await work(database);
  await database.runScript('CHECKPOINT');
  await database.close();
}
