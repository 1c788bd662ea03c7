import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCorrectUsage } from '../../../src/services/sweep/usage-drift.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeRecordingLogger } from '../../support/inner/logger.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
await tenants.ensure('without images');
const catalog = makeCatalog(database, shop.id);

/**
 * Adds an image (the donor), an image that reuses its renditions (the sharer), a duplicate of the donor, a deleted image
 * and a pending image.
 */
async function addImages(): Promise<{ donorId: number; sharerId: number }> {
  const donorId = await catalog.add('donor');
  const sharerJob = await catalog.upload('sharer');
  await catalog.completeWithDonor(sharerJob, 'donor', donorId);
  await catalog.completeAsDuplicate(await catalog.claimImport('https://example.com/1'), 'donor');
  await catalog.softDelete(await catalog.add('deleted'));
  await catalog.upload('pending');
  return { donorId, sharerId: sharerJob.imageId };
}

async function correctUsage() {
  const logger = makeRecordingLogger();
  const corrected = await makeCorrectUsage({ recounting: catalog.recounting, logger })();
  return { corrected, errors: logger.messages('error') };
}

async function expectExactUsage(): Promise<void> {
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
}

test('leaves correct counters unchanged', async () => {
  await addImages();
  const usageBefore = await usageFromCounters(database);
  expect(await correctUsage()).toEqual({ corrected: 0, errors: [] });
  await catalog.usage.foldDeltas();
  expect(await correctUsage()).toEqual({ corrected: 0, errors: [] });
  expect(await usageFromCounters(database)).toEqual(usageBefore);
});

test('corrects and reports counters that are wrong, missing or obsolete', async () => {
  await addImages();
  await catalog.usage.foldDeltas();
  await database.runScript(`
    INSERT INTO usage_deltas (tenant_id, kind, preset, format, count, bytes)
    VALUES (${shop.id}, 'rendition', 'card', 'jpeg', 0, 1107375), (${shop.id}, 'variant', 'removed', 'webp', 3, 70);
    UPDATE usage_totals SET count = 0, bytes = bytes + 1 WHERE kind = 'deleted';
    DELETE FROM usage_totals WHERE kind = 'image'`);
  const { corrected, errors } = await correctUsage();
  expect(corrected).toBe(4);
  expect(errors.toSorted()).toEqual([
    'corrected the usage of tenant shop: "card" renditions (jpeg) 3 → 3, bytes 1107680 → 305',
    'corrected the usage of tenant shop: deleted images 0 → 1, bytes 1325 → 1324',
    'corrected the usage of tenant shop: further variants of "removed" (webp) 3 → 0, bytes 70 → 0',
    'corrected the usage of tenant shop: images 0 → 4, bytes 0 → 3000',
  ]);
  await expectExactUsage();
  expect(await correctUsage()).toEqual({ corrected: 0, errors: [] });
});

test('assigns one owner to a file that has no owner or two owners, and then counts its bytes correctly', async () => {
  const { donorId, sharerId } = await addImages();
  for (const isShared of [false, true]) {
    // Simulates a bug by bypassing the counting triggers.
    await database.runScript(`
      ALTER TABLE renditions DISABLE TRIGGER USER;
      UPDATE renditions SET shared = ${isShared} WHERE image_id IN (${donorId}, ${sharerId});
      ALTER TABLE renditions ENABLE TRIGGER USER`);
    const { errors } = await correctUsage();
    expect(errors[0]).toMatch(/^repaired the file owners of 3 images of tenant shop: /);
    await expectExactUsage();
    const owners = await selectRows(
      database,
      `SELECT 1 FROM renditions WHERE NOT shared AND storage_key IN (
      SELECT storage_key FROM renditions WHERE image_id = ${donorId})`,
    );
    expect(owners).toHaveLength(2);
  }
  await catalog.softDelete(donorId);
  await catalog.softDelete(sharerId);
  await expectExactUsage();
});

test('corrects the counters once when recounts and other changes run concurrently', async () => {
  await addImages();
  await database.runScript(`
    INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes) VALUES (${shop.id}, 'image', '', 5, 999)`);
  await Promise.all([
    correctUsage(),
    catalog.add('added'),
    correctUsage(),
    catalog.usage.foldDeltas(),
    catalog.add('added and deleted').then((id) => catalog.softDelete(id)),
    correctUsage(),
  ]);
  await expectExactUsage();
});

test('recounts more images than one batch contains', async () => {
  await database.runScript(`
    INSERT INTO images (uuid, tenant_id, status, original_key, original_bytes)
    SELECT gen_random_uuid(), ${shop.id}, 'completed', 'k/' || n, 10 FROM generate_series(1, 2500) n;
    INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format)
    SELECT id, 'thumb', 'r', 'k/' || id, 'h', 7, 1, 1, 85, 'jpeg' FROM images;
    UPDATE images SET deleted_at = now() WHERE original_key ~ '[02468]$';
    TRUNCATE usage_deltas, usage_totals`);
  expect((await correctUsage()).errors.toSorted()).toEqual([
    'corrected the usage of tenant shop: "thumb" renditions (jpeg) 0 → 1250, bytes 0 → 8750',
    'corrected the usage of tenant shop: deleted images 0 → 1250, bytes 0 → 21250',
    'corrected the usage of tenant shop: images 0 → 1250, bytes 0 → 12500',
  ]);
  await expectExactUsage();
});
