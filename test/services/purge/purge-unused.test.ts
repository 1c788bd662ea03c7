import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal, systemPrincipal } from '../../../src/model/principal.ts';
import { makeSweepOrphans } from '../../../src/services/sweep/stored-files.ts';
import { selectRows } from '../../support/inner/database.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { useTestResources } from '../../support/inner/rig.ts';
import { makePurgeRig, token } from './setup.ts';

const resources = await useTestResources();
const purgeRequest = { dryRun: false, confirmTokens: [token], minAgeDays: 0 };
const dryRunRequest = { dryRun: true, minAgeDays: 0 };
const listImageIds = async () =>
  (await selectRows<{ id: number }>(resources.database, 'SELECT id FROM images ORDER BY id')).map(
    ({ id }) => id,
  );

test.each([
  ['without a token', token, undefined, 'A purge must be confirmed'],
  ['with a wrong token', token, 'yes', 'does not match PURGE_CONFIRM_TOKEN'],
  ['on a server without a configured token', null, 'anything', 'PURGE_CONFIRM_TOKEN is not set'],
])('rejects a purge %s, and removes nothing', async (_case, configuredToken, givenToken, message) => {
  const { rig, purgeUnused, add } = await makePurgeRig(resources, { confirmToken: configuredToken });
  const { id } = await add();
  const storedKeys = await rig.storedKeys();
  await expect(
    purgeUnused(unrestrictedPrincipal, {
      dryRun: false,
      confirmTokens: givenToken ? [givenToken] : [],
      minAgeDays: 0,
    }),
  ).rejects.toMatchObject({
    code: 'purge_refused',
    status: 403,
    message: expect.stringContaining(message) as string,
  });
  expect(await listImageIds()).toEqual([id]);
  expect(await rig.storedKeys()).toEqual(storedKeys);
});

test('lists the candidates in a dry run, without a token and without removing anything', async () => {
  const { rig, purgeUnused, add } = await makePurgeRig(resources, { confirmToken: null });
  const [unusedImage, usedImage] = [await add(), await add()];
  await rig.references.add(systemPrincipal, usedImage.id, 'page');
  const storedKeys = await rig.storedKeys();
  expect(await purgeUnused(unrestrictedPrincipal, dryRunRequest)).toMatchObject({
    dryRun: true,
    candidates: [{ id: unusedImage.id, tenant: 'shop' }],
    candidatesTotal: 1,
    images: 0,
    files: 0,
    errors: [],
    remaining: 0,
    warnings: [],
  });
  expect(await listImageIds()).toEqual([unusedImage.id, usedImage.id]);
  expect(await rig.storedKeys()).toEqual(storedKeys);
});

test('removes the rows and files of unused images, and reports the totals', async () => {
  const { rig, purgeUnused, retrieve, add } = await makePurgeRig(resources);
  const [unusedImage, usedImage] = [await add(), await add()];
  await rig.references.add(systemPrincipal, usedImage.id, 'page');
  const pendingUpload = await rig.upload(await makeUniquePicture(), { mode: 'queued' });
  await retrieve.rendition(unrestrictedPrincipal, { id: unusedImage.id }, 'thumb');
  const bytes =
    unusedImage.originalBytes! + unusedImage.renditions.reduce((sum, rendition) => sum + rendition.bytes, 0);
  expect(await purgeUnused(unrestrictedPrincipal, purgeRequest)).toMatchObject({
    dryRun: false,
    candidatesTotal: 1,
    images: 1,
    renditions: 2,
    files: 3,
    bytes,
    errors: [],
    remaining: 0,
  });
  expect(await listImageIds()).toEqual([usedImage.id, pendingUpload.image.id]);
  const keptKeys = [
    usedImage.originalKey,
    ...usedImage.renditions.map((rendition) => rendition.storageKey),
    pendingUpload.image.originalKey,
  ];
  expect(await rig.storedKeys()).toEqual(keptKeys.map(String).toSorted());
  expect(retrieve.cached(unrestrictedPrincipal, String(unusedImage.id), 'thumb')).toBeUndefined();
  expect(rig.logger.messages('info')).toContain('purge finished; unused images removed: 1');
});

test('filters by tenant and age, and warns about tenants without references', async () => {
  const { purgeUnused, add } = await makePurgeRig(resources);
  const [ownImage, otherImage] = [await add(), await add('other')];
  expect(await purgeUnused(unrestrictedPrincipal, { ...purgeRequest, minAgeDays: 1 })).toMatchObject({
    images: 0,
  });
  const dryRunReport = await purgeUnused(unrestrictedPrincipal, dryRunRequest);
  expect(dryRunReport.warnings).toHaveLength(2);
  expect(dryRunReport.warnings[0]).toBe(
    'The tenant "other" has never used references, so every one of its images is a candidate.',
  );
  expect(await purgeUnused(unrestrictedPrincipal, { ...purgeRequest, tenantName: 'other' })).toMatchObject({
    images: 1,
  });
  expect(await listImageIds()).toEqual([ownImage.id]);
  expect(otherImage.id).not.toBe(ownImage.id);
  await expect(
    purgeUnused(unrestrictedPrincipal, { ...dryRunRequest, tenantName: 'unknown' }),
  ).rejects.toMatchObject({
    code: 'tenant_not_found',
  });
});

test('does not let a caller purge images of another tenant', async () => {
  const { purgeUnused, add } = await makePurgeRig(resources);
  const [ownImage, otherImage] = [await add(), await add('other')];
  const shopPrincipal = {
    ...unrestrictedPrincipal,
    tenantId: ownImage.tenantId,
    tenantName: ownImage.tenant,
  };
  await expect(purgeUnused(shopPrincipal, { ...purgeRequest, tenantName: 'other' })).rejects.toMatchObject({
    code: 'tenant_not_allowed',
  });
  expect(await purgeUnused(shopPrincipal, purgeRequest)).toMatchObject({ images: 1, candidatesTotal: 1 });
  expect(await listImageIds()).toEqual([otherImage.id]);
});

test('reports a file that cannot be removed, leaves it to the sweep, and continues', async () => {
  const { rig, purgeUnused, add } = await makePurgeRig(resources);
  const [unremovableImage, removableImage] = [await add(), await add()];
  const path = rig.filePath(unremovableImage.originalKey!);
  await rm(path);
  await mkdir(join(path, 'not empty'), { recursive: true });
  const report = await purgeUnused(unrestrictedPrincipal, purgeRequest);
  expect(report).toMatchObject({
    images: 2,
    files: 5,
    errors: [
      `The file ${unremovableImage.originalKey} could not be removed; the sweep for orphaned files will try again.`,
    ],
  });
  expect(await listImageIds()).toEqual([]);
  expect(await rig.storage.stat(removableImage.originalKey!)).toBeUndefined();
  expect(rig.logger.messages('error')).toEqual(report.errors);
});

test('removes the files during the next sweep if the process stops before removing them', async () => {
  const { rig, add } = await makePurgeRig(resources);
  const { id } = await add();
  const [candidate] = await rig.purging.listUnused({ tenantId: null, minAgeDays: 0 }, { limit: 1 });
  // The process stops after it has removed the rows.
  await rig.purging.remove(systemPrincipal, candidate!, { unusedWithMinAgeDays: 0 });
  expect(await rig.image(id)).toBeUndefined();
  expect(await rig.storedKeys()).toHaveLength(3);
  const sweep = makeSweepOrphans({ ...rig, sweepLimit: { fraction: 1, count: 100 } });
  expect(await sweep(new Date(Date.now() + 2 * 86_400_000))).toMatchObject({ orphans: 3, removed: 3 });
  expect(await rig.storedKeys()).toEqual([]);
});

test('removes several pages of images in one purge', async () => {
  const { purgeUnused, add } = await makePurgeRig(resources);
  const { tenantId } = await add();
  await resources.database.runScript(`
    INSERT INTO images (uuid, tenant_id, status, content_hash)
    SELECT gen_random_uuid(), ${tenantId}, 'failed', encode(sha256(n::text::bytea), 'hex') FROM generate_series(1, 450) n`);
  expect(await purgeUnused(unrestrictedPrincipal, purgeRequest)).toMatchObject({
    candidatesTotal: 451,
    images: 451,
  });
  expect(await listImageIds()).toEqual([]);
});
