import { readdir, readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { migrate } from '../../../src/db/engine/migrate.ts';
import { makePurgeQueries } from '../../../src/db/purge/purging.ts';
import { openEmptyDatabase, selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { findGroupErrors, listGroups } from '../../support/inner/duplicate-groups.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await useDatabase();

test('does not apply a migration twice', async () => {
  const { version, applied } = await migrate(database);
  expect(applied).toEqual([]);
  expect(version).toBeGreaterThanOrEqual(1);
  const recordedMigrations = await selectRows<{ version: number }>(
    database,
    'SELECT version FROM schema_migrations',
  );
  expect(recordedMigrations.map((row) => row.version)).toContain(version);
});

test('rejects a database that is newer than the program', async () => {
  await database.runScript("INSERT INTO schema_migrations (version, name) VALUES (9999, 'from-the-future')");
  onTestFinished(() => database.runScript('DELETE FROM schema_migrations WHERE version = 9999'));
  await expect(migrate(database)).rejects.toThrow(
    /has schema version 9999, .* Install a newer version of Vitrine/,
  );
});

test('rolls back a migration that fails midway', async () => {
  const script = 'BEGIN; CREATE TABLE incomplete (id int); SELECT 1 / 0; COMMIT;';
  await expect(database.runScript(script)).rejects.toThrow(/division by zero/);
  await database.runScript('ROLLBACK');
  expect(await selectRow(database, "SELECT to_regclass('incomplete') AS found")).toEqual({ found: null });
});

test('merges references that differ only in Unicode form, and corrects the reference counts', async () => {
  const oldDatabase = await openMigratedTo(7);
  await oldDatabase.runScript(String.raw`
    INSERT INTO tenants (name) VALUES ('shop');
    INSERT INTO images (uuid, tenant_id, status, original_filename) SELECT gen_random_uuid(), 1, 'completed', name
    FROM unnest(ARRAY[U&'photo\202Egpj.exe', 'plain.jpg', U&'\202E']) name;
    INSERT INTO image_references (image_id, reference, created_at) VALUES
      (1, U&'Ku\0308che', '2026-01-01'), (1, U&'K\00FCche', '2026-01-02'), (1, 'Tisch', '2026-01-03'),
      (2, U&'Ku\0308che', '2026-01-04'), (2, U&'A\030A', '2026-01-05'), (2, U&'\212B', '2026-01-06'), (2, U&'\00C5', '2026-01-07'),
      (3, 'Tisch', '2026-01-08');
    UPDATE images SET in_use_count = (SELECT count(*) FROM image_references WHERE image_id = images.id)`);
  await migrate(oldDatabase);
  const references = await selectRows<{ image: number; reference: string; day: string }>(
    oldDatabase,
    "SELECT image_id AS image, reference, to_char(created_at, 'DD') AS day FROM image_references ORDER BY id",
  );
  expect(references.map(({ image, reference, day }) => [image, reference, day])).toEqual([
    [1, 'Küche', '01'],
    [1, 'Tisch', '03'],
    [2, 'Küche', '04'],
    [2, 'Å', '05'],
    [3, 'Tisch', '08'],
  ]);
  const images = await selectRows<{ count: number; name: string }>(
    oldDatabase,
    'SELECT in_use_count AS count, original_filename AS name FROM images ORDER BY id',
  );
  expect(images).toEqual([
    { count: 2, name: 'photogpj.exe' },
    { count: 2, name: 'plain.jpg' },
    { count: 1, name: 'unnamed' },
  ]);
});

test('requeues images that older versions may have decoded incorrectly', async () => {
  const oldDatabase = await openMigratedTo(9);
  await oldDatabase.runScript(`
    INSERT INTO tenants (name) VALUES ('shop');
    INSERT INTO images (uuid, tenant_id, status, original_filename, original_key, content_hash, format, bit_depth, damaged_at)
    SELECT gen_random_uuid(), 1, status, 'x', CASE WHEN status <> 'pending' THEN format END, md5(format || bits || status) || md5(''),
      format, bits, damaged
    FROM (VALUES ('jpeg', 8, 'completed', NULL), ('png', 16, 'completed', NULL), ('tiff', 8, 'completed', NULL),
      ('gif', 8, 'completed', NULL), ('avif', 10, 'completed', NULL), ('gif', 8, 'failed', NULL),
      ('tiff', 16, 'completed', now())) v (format, bits, status, damaged)`);
  await migrate(oldDatabase);
  const pendingJobs = await selectRows<{ format: string }>(
    oldDatabase,
    "SELECT format FROM jobs JOIN images i ON i.id = image_id WHERE state = 'pending' AND kind = 'derive' ORDER BY image_id",
  );
  expect(pendingJobs.map(({ format }) => format)).toEqual(['png', 'tiff', 'gif', 'avif']);
});

/** Opens an empty database and migrates it only up to an older version. */
async function openMigratedTo(version: number) {
  const folder = new URL('../../../src/db/migrations/', import.meta.url);
  const fileNames = (await readdir(folder)).filter((name) => Number(name.slice(0, 4)) <= version).toSorted();
  const oldDatabase = await openEmptyDatabase();
  await oldDatabase.runScript(
    'CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  for (const fileName of fileNames) {
    await oldDatabase.runScript(await readFile(new URL(fileName, folder), 'utf8'));
    await oldDatabase.runScript(
      `INSERT INTO schema_migrations (version, name) VALUES (${Number(fileName.slice(0, 4))}, '${fileName}')`,
    );
  }
  return oldDatabase;
}

test('counts the existing rows when a migration adds the usage counters', async () => {
  const oldDatabase = await openEmptyDatabase();
  const firstMigration = new URL('../../../src/db/migrations/0001-core.sql', import.meta.url);
  await oldDatabase.runScript(await readFile(firstMigration, 'utf8'));
  await oldDatabase.runScript(`
    CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO schema_migrations (version, name) VALUES (1, '0001-core.sql');
    INSERT INTO tenants (name) VALUES ('shop'), ('empty');
    INSERT INTO images (uuid, tenant_id, status, content_hash, original_key, original_bytes, deleted_at)
    SELECT gen_random_uuid(), 1, CASE WHEN n = 4 THEN 'failed' ELSE 'completed' END, encode(sha256(n::text::bytea), 'hex'),
      'originals/' || n, 1000 + n, CASE WHEN n = 5 THEN now() END FROM generate_series(1, 5) n;
    INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format)
    SELECT id, preset, 'r', id || preset, content_hash, 10 * id, 1, 1, 85, 'jpeg'
    FROM images, unnest(ARRAY['thumb', 'card']) preset WHERE status = 'completed'`);
  await migrate(oldDatabase);
  const usage = await usageFromCounters(oldDatabase);
  expect(usage).toEqual(await usageFromRows(oldDatabase));
  expect(usage[1]).toMatchObject({
    tenant: 'shop',
    images: 4,
    renditions: 6,
    originalBytes: 4010,
    renditionBytes: 120,
  });
  const purging = makePurgeQueries(oldDatabase);
  expect(await purging.summarizeDeleted(null, 0)).toMatchObject({
    images: 1,
    renditionsToDelete: 2,
    bytes: 1105,
  });
});

test('groups the near-duplicates that older versions have recorded, and stores each pair once', async () => {
  const oldDatabase = await openMigratedTo(24);
  await oldDatabase.runScript(`
    INSERT INTO tenants (name) VALUES ('shop'), ('other');
    INSERT INTO images (uuid, tenant_id, status, content_hash, deleted_at)
    SELECT gen_random_uuid(), CASE WHEN n < 7 THEN 1 ELSE 2 END, 'completed', encode(sha256(n::text::bytea), 'hex'),
      CASE WHEN n = 5 THEN now() END FROM generate_series(1, 12) n;
    INSERT INTO near_duplicates (image_id, match_id, distance, difference, reason)
    VALUES (2, 1, 0, 0, 'alike'), (1, 2, 0, 0, 'alike'), (1, 3, 0, 0, 'alike'), (4, 3, 0, 0, 'alike'),
      (5, 1, 0, 0, 'alike'),
      (8, 7, 0, 0, 'alike'), (9, 8, 0, 0, 'alike'), (10, 9, 0, 0, 'alike'), (11, 10, 0, 0, 'alike'), (12, 8, 0, 0, 'alike')`);
  await migrate(oldDatabase);
  expect(await listGroups(oldDatabase)).toEqual([
    { kind: 'duplicate', tier: 'reencoded', images: [1, 2, 3] },
    { kind: 'duplicate', tier: 'reencoded', images: [7, 8] },
    { kind: 'duplicate', tier: 'reencoded', images: [9, 10] },
  ]);
  expect(await findGroupErrors(oldDatabase)).toEqual({});
  const pairs = await selectRows<{ pair: string }>(
    oldDatabase,
    "SELECT image_id || ' ' || match_id AS pair FROM near_duplicates ORDER BY image_id, match_id",
  );
  expect(pairs.map(({ pair }) => pair)).toEqual([
    '2 1',
    '3 1',
    '4 3',
    '5 1',
    '8 7',
    '9 8',
    '10 9',
    '11 10',
    '12 8',
  ]);
});
