import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { migrate } from '../../src/db/migrate.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { rowOf, rowsOf, useDatabase } from '../support/inner/database.ts';
import { testFolder } from '../support/inner/folders.ts';
import { copyTemplate } from '../support/inner/template-database.ts';

const database = await useDatabase();

test('a second migration applies nothing', async () => {
  const { version, applied } = await migrate(database);
  expect(applied).toEqual([]);
  expect(version).toBeGreaterThanOrEqual(1);
  const recorded = await rowsOf<{ version: number }>(database, 'SELECT version FROM schema_migrations');
  expect(recorded.map((row) => row.version)).toContain(version);
});

test('a database that is newer than the program is refused and stays as it is', async () => {
  await database.runScript("INSERT INTO schema_migrations (version, name) VALUES (9999, 'from-the-future')");
  onTestFinished(() => database.runScript('DELETE FROM schema_migrations WHERE version = 9999'));
  await expect(migrate(database)).rejects.toThrow(/has schema version 9999; .* Install a newer Vitrine/);
});

test('a migration that fails half-way leaves nothing of itself', async () => {
  const script = 'BEGIN; CREATE TABLE half_made (id int); SELECT 1 / 0; COMMIT;';
  await expect(database.runScript(script)).rejects.toThrow(/division by zero/);
  await database.runScript('ROLLBACK');
  expect(await rowOf(database, "SELECT to_regclass('half_made') AS made")).toEqual({ made: null });
});

test('a database opened again has what was written before', async () => {
  const directory = join(await testFolder(), 'db');
  await copyTemplate(directory);
  const before = await openEmbeddedDatabase(directory);
  const { id } = await makeTenantQueries(before).ensure('kept');
  await before.close();
  const after = await openEmbeddedDatabase(directory);
  onTestFinished(() => after.close());
  expect(await makeTenantQueries(after).find('kept')).toEqual({ id, name: 'kept' });
});

test('a folder that was never finished is set aside, with its files, and a new database is made', async () => {
  const directory = join(await testFolder(), 'db');
  await mkdir(directory);
  await writeFile(join(directory, 'PG_VERSION'), 'half-made');
  const fresh = await openEmbeddedDatabase(directory);
  onTestFinished(() => fresh.close());
  expect((await migrate(fresh)).applied).not.toEqual([]);
  expect(await readFile(join(`${directory}.unfinished`, 'PG_VERSION'), 'utf8')).toBe('half-made');
  expect(existsSync(join(directory, 'VITRINE_READY'))).toBe(true);
});
