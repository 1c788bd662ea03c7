import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { selectRows } from '../support/inner/database.ts';
import { findGroupErrors } from '../support/inner/duplicate-groups.ts';
import { usageFromCounters, usageFromRows } from '../support/inner/recount.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';

const execFileAsync = promisify(execFile);
const script = fileURLToPath(new URL('../support/process/mixed-operations.ts', import.meta.url));
// For a longer run: MIXED_OPERATIONS=20000 npx vitest run test/postgres/mixed-operations.test.ts
// oxlint-disable-next-line node/no-process-env -- not a product setting
const operationCount = Number(process.env['MIXED_OPERATIONS'] ?? 200);
const processCount = 3;

/** Queries for rows that violate an invariant. Each invariant holds whenever no operation is running. */
const violations: Record<string, string> = {
  'a pending or processing image without a job': `
    SELECT id, status FROM images WHERE status IN ('pending', 'processing') AND NOT EXISTS (
      SELECT 1 FROM jobs WHERE image_id = images.id AND state IN ('pending', 'processing'))`,
  'a pending or processing job without an image': `
    SELECT id, kind, state FROM jobs WHERE state IN ('pending', 'processing') AND image_id IS NULL`,
  'a completed image without a rendition of a preset': `
    SELECT id FROM images WHERE status = 'completed' AND NOT EXISTS (
      SELECT 1 FROM renditions WHERE image_id = images.id AND preset = 'thumb' AND superseded_at IS NULL)`,
  'a rendition without its file': `
    SELECT image_id, storage_key FROM renditions WHERE storage_key NOT IN (SELECT key FROM stored)`,
  'a variant with two current renditions, or a preset with two listed ones': `
    SELECT image_id, preset FROM renditions r WHERE superseded_at IS NULL GROUP BY image_id, preset
    HAVING count(*) <> count(DISTINCT (format, density)) OR count(*) FILTER (WHERE is_listed) > 1`,
  'a file without exactly one owner': `
    SELECT storage_key FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
    GROUP BY storage_key HAVING count(*) FILTER (WHERE NOT shared) <> 1`,
  'an image without its original': `
    SELECT id, deleted_at, status FROM images WHERE original_key NOT IN (SELECT key FROM stored)`,
  'a duplicate of an image that is deleted or has different content': `
    SELECT copy.id, copy.duplicate_of FROM images copy WHERE copy.deleted_at IS NULL AND copy.duplicate_of IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM images first WHERE first.id = copy.duplicate_of AND first.deleted_at IS NULL
        AND first.duplicate_of IS NULL AND first.content_hash = copy.content_hash)`,
  'a wrong reference count': `
    SELECT id, in_use_count FROM images
    WHERE in_use_count <> (SELECT count(*) FROM image_references WHERE image_id = images.id)`,
  'a fingerprint whose content has no image': `
    SELECT content_hash FROM fingerprints f WHERE NOT EXISTS (
      SELECT 1 FROM images WHERE tenant_id = f.tenant_id AND content_hash = f.content_hash)`,
  'a deleted image with wrong purge totals': `
    SELECT id, purge_bytes, purge_renditions FROM images WHERE deleted_at IS NOT NULL AND (
      purge_renditions <> (SELECT count(*) FROM renditions WHERE image_id = images.id)
      OR purge_bytes <> coalesce(original_bytes, 0)
        + (SELECT coalesce(sum(bytes), 0) FROM renditions WHERE image_id = images.id))`,
  'a deleted image that is not marked as sharing content or files with other images': `
    SELECT id FROM images deleted WHERE deleted_at IS NOT NULL AND NOT has_relatives AND (
      EXISTS (SELECT 1 FROM images relative WHERE relative.tenant_id = deleted.tenant_id
        AND relative.content_hash = deleted.content_hash AND relative.id <> deleted.id)
      OR EXISTS (SELECT 1 FROM renditions own_file JOIN renditions shared_file ON shared_file.storage_key = own_file.storage_key
        AND shared_file.image_id <> own_file.image_id WHERE own_file.image_id = deleted.id))`,
};

async function findViolations(database: Database): Promise<Record<string, readonly unknown[]>> {
  const foundViolations: Record<string, unknown[]> = {};
  for (const [violation, query] of Object.entries(violations)) {
    const rows = await selectRows(database, query);
    if (rows.length > 0) foundViolations[violation] = rows;
  }
  return { ...foundViolations, ...(await findGroupErrors(database)) };
}

test('violates no invariant after several processes have concurrently changed the same few images', async () => {
  const { name, database } = await openTestServerDatabase();
  await database.runScript('CREATE TABLE stored (key text PRIMARY KEY)');
  const { id } = await makeCatalog(database, 1).tenants.ensure('shop');
  const seed = Math.floor(Math.random() * 1e6);
  const outputs = await Promise.all(
    Array.from({ length: processCount }, (_, index) =>
      execFileAsync(process.execPath, [
        script,
        serverDatabaseUrl(name),
        String(id),
        String(seed + index),
        String(operationCount),
      ]),
    ),
  );
  const errors = outputs.map(({ stdout }) => stdout).join('');
  expect({ errors, violations: await findViolations(database) }, `seed ${seed}`).toEqual({
    errors: '',
    violations: {},
  });
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
  // Checks that the processes completed jobs and did not only fail.
  const [completedJobs] = await selectRows<{ count: number }>(
    database,
    "SELECT count(*) AS count FROM jobs WHERE state = 'completed'",
  );
  expect(completedJobs!.count).toBeGreaterThan(20);
});
