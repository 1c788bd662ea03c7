import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { migrate } from '../../../src/db/migrate.ts';

/** Removes the databases `template0` and `template1`: they are two thirds of the files, and nothing uses them. */
const trim = [
  'UPDATE pg_database SET datistemplate = false, datallowconn = true',
  'DROP DATABASE template0',
  'DROP DATABASE template1',
  'CHECKPOINT',
];

/** Builds a migrated embedded database at `path`. */
export async function buildTemplate(path: string): Promise<void> {
  const building = await mkdtemp(`${path}-building-`);
  const database = await openEmbeddedDatabase(join(building, 'db'));
  await migrate(database);
  for (const statement of trim) await database.runScript(statement);
  await database.close();
  // Another test worker may have been faster; its template is as good.
  await rename(join(building, 'db'), path).catch(() => undefined);
  await rm(building, { recursive: true, force: true });
}
