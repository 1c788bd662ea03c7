import { cpSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../../../src/db/database.ts';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { migrate } from '../../../src/db/engine/migrate.ts';

/** Removes the databases `template0` and `template1`: they are two thirds of the files, and nothing uses them. */
const trim = [
  'UPDATE pg_database SET datistemplate = false, datallowconn = true',
  'DROP DATABASE template0',
  'DROP DATABASE template1',
];

/** Builds a folder with the embedded databases `empty` and `migrated` at `path`. */
export async function buildTemplate(path: string): Promise<void> {
  const building = await mkdtemp(`${path}-building-`);
  const [empty, migrated] = [join(building, 'empty'), join(building, 'migrated')];
  await change(empty, async (database) => {
    for (const statement of trim) await database.runScript(statement);
  });
  cpSync(empty, migrated, { recursive: true });
  await change(migrated, migrate);
  // Another test worker may have been faster; its template is as good.
  await rename(building, path).catch(() => rm(building, { recursive: true, force: true }));
}

async function change(directory: string, work: (database: Database) => Promise<unknown>): Promise<void> {
  const database = await openEmbeddedDatabase(directory);
  await work(database);
  await database.runScript('CHECKPOINT');
  await database.close();
}
