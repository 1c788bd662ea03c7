import { expect, onTestFinished, test } from 'vitest';
import { migrate } from '../../src/db/engine/migrate.ts';
import { rowsOf } from '../support/inner/database.ts';
import { openPostgresDatabase } from '../../src/db/engine/postgres.ts';
import { recordingLogger } from '../support/inner/logger.ts';
import {
  createServerDatabase,
  runOnServer,
  openServerDatabase,
  testSettings,
  urlOfDatabase,
} from '../support/inner/server-database.ts';

test('applies the migrations once when ten processes start concurrently', async () => {
  const { name, remove } = await createServerDatabase(false);
  const databases = await Promise.all(Array.from({ length: 10 }, () => openServerDatabase(name)));
  onTestFinished(async () => {
    await Promise.all(databases.map((database) => database.close()));
    await remove();
  });
  const reports = await Promise.all(databases.map((database) => migrate(database)));
  const [version] = reports.map((report) => report.version);
  expect(reports.map((report) => report.version)).toEqual(reports.map(() => version));
  const appliedMigrations = reports.map((report) => report.applied).filter(({ length }) => length > 0);
  expect(appliedMigrations).toHaveLength(1);
  const [firstDatabase] = databases;
  const versions =
    firstDatabase &&
    (await rowsOf<{ version: number }>(firstDatabase, 'SELECT version FROM schema_migrations'));
  expect(versions).toHaveLength(appliedMigrations.flat().length);
});

test('rolls back a failed migration, and releases the lock', async () => {
  const { name, remove } = await createServerDatabase(false);
  const database = await openServerDatabase(name);
  onTestFinished(async () => {
    await database.close();
    await remove();
  });
  // A migration creates a table with the same name.
  await database.runScript('CREATE TABLE renditions (id int)');
  await expect(migrate(database)).rejects.toThrow(/already exists/);
  expect(
    await rowsOf(database, "SELECT 1 FROM pg_class WHERE relname IN ('images', 'schema_migrations')"),
  ).toEqual([]);
  await database.runScript('DROP TABLE renditions');
  expect((await migrate(database)).applied.length).toBeGreaterThan(0);
});

test('reports the missing permission if the user may not create tables', async () => {
  const { name, remove } = await createServerDatabase(false);
  const role = `vitrine_test_${process.pid}`;
  await runOnServer(`CREATE ROLE ${role} LOGIN`);
  const url = new URL(urlOfDatabase(name));
  url.username = role;
  const database = await openPostgresDatabase({ ...testSettings, url: url.href }, recordingLogger());
  onTestFinished(async () => {
    await database.close();
    await remove();
    await runOnServer(`DROP ROLE ${role}`);
  });
  await expect(migrate(database)).rejects.toThrow(
    /is not allowed to create or change the tables .* grant it CREATE/,
  );
});
