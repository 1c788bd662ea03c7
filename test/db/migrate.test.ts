import { readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { migrate } from '../../src/db/migrate.ts';
import { makePurgeQueries } from '../../src/db/purging.ts';
import { openEmptyDatabase, rowOf, rowsOf, useDatabase } from '../support/inner/database.ts';
import { countedUsage, recountedUsage } from '../support/inner/recount.ts';

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

test('a database from before the counters is counted when it is brought up to date', async () => {
  const old = await openEmptyDatabase();
  const first = new URL('../../src/db/migrations/0001-core.sql', import.meta.url);
  await old.runScript(await readFile(first, 'utf8'));
  await old.runScript(`
    CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO schema_migrations (version, name) VALUES (1, '0001-core.sql');
    INSERT INTO tenants (name) VALUES ('shop'), ('empty');
    INSERT INTO images (uuid, tenant_id, status, content_hash, original_key, original_bytes, deleted_at)
    SELECT gen_random_uuid(), 1, CASE WHEN n = 4 THEN 'failed' ELSE 'completed' END, encode(sha256(n::text::bytea), 'hex'),
      'originals/' || n, 1000 + n, CASE WHEN n = 5 THEN now() END FROM generate_series(1, 5) n;
    INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format)
    SELECT id, preset, 'r', id || preset, content_hash, 10 * id, 1, 1, 85, 'jpeg'
    FROM images, unnest(ARRAY['thumb', 'card']) preset WHERE status = 'completed'`);
  await migrate(old);
  const counted = await countedUsage(old);
  expect(counted).toEqual(await recountedUsage(old));
  expect(counted[1]).toMatchObject({
    tenant: 'shop',
    images: 4,
    renditions: 6,
    originalBytes: 4010,
    renditionBytes: 120,
  });
  const purging = makePurgeQueries(old);
  expect(await purging.deletedFigures(null, 0)).toMatchObject({
    images: 1,
    renditionsToDelete: 2,
    bytes: 1105,
  });
});
