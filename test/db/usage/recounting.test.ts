import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCorrectUsage } from '../../../src/services/sweep/usage-drift.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { rowsOf, useDatabase } from '../../support/inner/database.ts';
import { keepingLogger } from '../../support/inner/logger.ts';
import { countedUsage, recountedUsage } from '../../support/inner/recount.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
await tenants.ensure('without images');
const catalog = makeCatalog(database, shop.id);

/** A catalog with shared files, duplicates, deleted images and pending ones. */
async function fill(): Promise<{ donor: number; sharer: number }> {
  const donor = await catalog.add('donor');
  const sharingJob = await catalog.upload('sharer');
  await catalog.shareWith(sharingJob, 'donor', donor);
  await catalog.shareKnown(await catalog.beginImport('https://example.com/1'), 'donor');
  await catalog.hide(await catalog.add('deleted'));
  await catalog.upload('waits');
  return { donor, sharer: sharingJob.imageId };
}

async function correct() {
  const logger = keepingLogger();
  const corrected = await makeCorrectUsage({ recounting: catalog.recounting, logger })();
  return { corrected, errors: logger.messages('error') };
}

async function expectExactUsage(): Promise<void> {
  expect(await countedUsage(database)).toEqual(await recountedUsage(database));
}

test('leaves correct counters unchanged', async () => {
  await fill();
  const before = await countedUsage(database);
  expect(await correct()).toEqual({ corrected: 0, errors: [] });
  await catalog.usage.fold();
  expect(await correct()).toEqual({ corrected: 0, errors: [] });
  expect(await countedUsage(database)).toEqual(before);
});

test('corrects and reports counters that are wrong, missing or left over', async () => {
  await fill();
  await catalog.usage.fold();
  await database.runScript(`
    INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
    VALUES (${shop.id}, 'rendition', 'card', 0, 1107375), (${shop.id}, 'rendition', 'gone', 3, 70);
    DELETE FROM usage_totals WHERE kind = 'image'`);
  const { corrected, errors } = await correct();
  expect(corrected).toBe(3);
  expect(errors.toSorted()).toEqual([
    'corrected the usage of tenant shop: images 0 → 4, bytes 0 → 3000',
    'corrected the usage of tenant shop: renditions "card" 3 → 3, bytes 1107680 → 305',
    'corrected the usage of tenant shop: renditions "gone" 3 → 0, bytes 70 → 0',
  ]);
  await expectExactUsage();
  expect(await correct()).toEqual({ corrected: 0, errors: [] });
});

test('gives a file with two owners or none exactly one, and keeps its bytes correct when that one is deleted', async () => {
  const { donor, sharer } = await fill();
  for (const shared of [false, true]) {
    // Simulates a bug: bypasses the triggers that count.
    await database.runScript(`
      ALTER TABLE renditions DISABLE TRIGGER USER;
      UPDATE renditions SET shared = ${shared} WHERE image_id IN (${donor}, ${sharer});
      ALTER TABLE renditions ENABLE TRIGGER USER`);
    const { errors } = await correct();
    expect(errors[0]).toMatch(/^images of tenant shop using a file that did not have exactly one owner: 3/);
    await expectExactUsage();
    const owners = await rowsOf(
      database,
      `SELECT 1 FROM renditions WHERE NOT shared AND storage_key IN (
      SELECT storage_key FROM renditions WHERE image_id = ${donor})`,
    );
    expect(owners).toHaveLength(2);
  }
  await catalog.hide(donor);
  await catalog.hide(sharer);
  await expectExactUsage();
});

test('corrects once in two concurrent recounts, also while images are added and deleted', async () => {
  await fill();
  await database.runScript(`
    INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes) VALUES (${shop.id}, 'image', '', 5, 999)`);
  await Promise.all([
    correct(),
    catalog.add('meanwhile'),
    correct(),
    catalog.usage.fold(),
    catalog.add('and later').then((id) => catalog.hide(id)),
    correct(),
  ]);
  await expectExactUsage();
});

test('counts more images than one statement reads', async () => {
  await database.runScript(`
    INSERT INTO images (uuid, tenant_id, status, original_key, original_bytes)
    SELECT gen_random_uuid(), ${shop.id}, 'completed', 'k/' || n, 10 FROM generate_series(1, 2500) n;
    INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format)
    SELECT id, 'thumb', 'r', 'k/' || id, 'h', 7, 1, 1, 85, 'jpeg' FROM images;
    TRUNCATE usage_deltas, usage_totals`);
  expect((await correct()).errors.toSorted()).toEqual([
    'corrected the usage of tenant shop: images 0 → 2500, bytes 0 → 25000',
    'corrected the usage of tenant shop: renditions "thumb" 0 → 2500, bytes 0 → 17500',
  ]);
  await expectExactUsage();
});
