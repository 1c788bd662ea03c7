import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeSweepOrphans } from '../../../src/services/sweep/stored-files.ts';
import { originalKey, renditionKey } from '../../../src/storage/keys.ts';
import { recordPending } from '../../support/inner/jobs.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { sha256Hex } from '../../support/inner/records.ts';
import { makeRig, type Rig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();
const shop = await makeTenantQueries(resources.database).ensure('shop');
const sweepLimit = { fraction: 0.05, count: 10_000 };
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);

/** Stores a file that no row refers to and that was modified `days` days ago. */
async function storeFile(rig: Rig, key: string, days = 2): Promise<string> {
  const path = rig.filePath(key);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, 'left behind');
  await utimes(path, daysAgo(days), daysAgo(days));
  return key;
}
const storeOrphan = (rig: Rig, name: string, days?: number) =>
  storeFile(rig, originalKey(shop.id, sha256Hex(name)), days);

test('removes a file without a row only if the file is too old to belong to a running upload', async () => {
  const rig = await makeRig(resources);
  const recentKey = await storeOrphan(rig, 'recent', 0.9);
  const renditionFileKey = renditionKey(shop.id, sha256Hex('old'), 'thumb', '0123456789');
  await storeOrphan(rig, 'old', 1.1);
  await storeFile(rig, renditionFileKey);
  await storeFile(
    rig,
    `${originalKey(shop.id, sha256Hex('half replaced'))}.0197b2a0-0000-4000-8000-000000000000`,
  );
  const report = await makeSweepOrphans({ ...rig, sweepLimit })();
  expect(report).toEqual({ files: 4, orphans: 3, removed: 3, hasExceededLimit: false });
  expect(await rig.storedKeys()).toEqual([recentKey]);
  expect(rig.logger.messages()).toEqual(['orphaned files removed: 3']);
});

test('never removes a file of a pending, completed or deleted image', async () => {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await makeUniquePicture());
  await rig.upload(await makeUniquePicture(), { mode: 'queued' });
  const deletedUpload = await rig.upload(await makeUniquePicture());
  await rig.softDelete({ id: deletedUpload.image.id });
  const keysBefore = await rig.storedKeys();
  expect(keysBefore).toHaveLength(7);
  const nextYear = new Date(Date.now() + 365 * 86_400_000);
  const report = await makeSweepOrphans({ ...rig, sweepLimit })(nextYear);
  expect(report).toEqual({ files: 7, orphans: 0, removed: 0, hasExceededLimit: false });
  expect(await rig.storedKeys()).toEqual(keysBefore);
  expect(await rig.storage.stat(image.originalKey!)).toBeDefined();
});

test('removes a rendition file whose settings differ from those of the recorded rendition, and keeps the recorded files', async () => {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await makeUniquePicture());
  const keysBefore = await rig.storedKeys();
  await storeFile(rig, renditionKey(image.tenantId, image.contentHash!, 'thumb', 'ffffffffff'));
  expect(await makeSweepOrphans({ ...rig, sweepLimit })()).toMatchObject({ removed: 1 });
  expect(await rig.storedKeys()).toEqual(keysBefore);
});

test('removes an orphaned file regardless of other tenants’ images with the same content', async () => {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await makeUniquePicture());
  const otherKey = await storeFile(rig, originalKey(image.tenantId + 1, image.contentHash!));
  await makeSweepOrphans({ ...rig, sweepLimit })();
  expect(await rig.storedKeys()).not.toContain(otherKey);
  expect(await rig.storedKeys()).toContain(image.originalKey);
});

test('keeps files that Vitrine did not store', async () => {
  const rig = await makeRig(resources);
  const otherKey = await storeFile(rig, 'notes/readme.txt');
  expect(await makeSweepOrphans({ ...rig, sweepLimit })()).toMatchObject({ orphans: 0 });
  expect(await rig.storedKeys()).toEqual([otherKey]);
});

test('keeps a file that is recorded between the listing and the removal', async () => {
  const rig = await makeRig(resources);
  const key = await storeOrphan(rig, 'recorded late');
  // Records an upload of the same content just before the removal.
  const removeUnused: typeof rig.storedFiles.removeUnused = async (file, remove) => {
    await recordPending(resources.database, shop.id, 'recorded late');
    return rig.storedFiles.removeUnused(file, remove);
  };
  const sweep = makeSweepOrphans({ ...rig, storedFiles: { ...rig.storedFiles, removeUnused }, sweepLimit });
  expect(await sweep()).toEqual({ files: 1, orphans: 1, removed: 0, hasExceededLimit: false });
  expect(await rig.storedKeys()).toEqual([key]);
});

test('keeps a rendition that a job is about to record', async () => {
  const rig = await makeRig(resources);
  const key = renditionKey(shop.id, sha256Hex('working'), 'thumb', '0123456789');
  await storeFile(rig, key);
  await recordPending(resources.database, shop.id, 'working', { leaseSeconds: 60 });
  expect(await makeSweepOrphans({ ...rig, sweepLimit })()).toMatchObject({ orphans: 1, removed: 0 });
  expect(await rig.storedKeys()).toEqual([key]);
});

test.each([
  ['fraction', { fraction: 0.05, count: 10_000 }, 21],
  ['number', { fraction: 1, count: 3 }, 4],
])(
  'removes nothing and logs the reason if the %s of orphaned files exceeds the limit',
  async (_measure, limit, count) => {
    const rig = await makeRig(resources);
    for (let i = 0; i < count; i++) await storeOrphan(rig, `lost ${i}`);
    expect(await makeSweepOrphans({ ...rig, sweepLimit: limit })()).toEqual({
      files: count,
      orphans: count,
      removed: 0,
      hasExceededLimit: true,
    });
    expect(await rig.storedKeys()).toHaveLength(count);
    expect(rig.logger.messages()).toEqual([
      `${count} of ${count} stored files (100.0 %) look orphaned, more than ORPHAN_BRAKE allows; nothing was removed. Was an older database restored?`,
    ]);
  },
);

test('removes a small number of orphaned files when no other files are stored', async () => {
  const rig = await makeRig(resources);
  for (let i = 0; i < 20; i++) await storeOrphan(rig, `few ${i}`);
  expect(await makeSweepOrphans({ ...rig, sweepLimit })()).toMatchObject({
    removed: 20,
    hasExceededLimit: false,
  });
});
