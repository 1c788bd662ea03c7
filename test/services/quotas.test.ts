import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();
const { database } = resources;
const importOne = (rig: Rig, url: string) =>
  rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' });

test('rejects an upload without room, keeps nothing of it, and still returns known images', async () => {
  const rig = await makeRig(resources, { quotas: { images: 1 } });
  const known = await makeUniquePicture();
  const { image } = await rig.upload(known);
  const storedKeys = await rig.storedKeys();
  for (const mode of ['inline', 'queued'] as const) {
    await expect(rig.upload(await makeUniquePicture(), { mode })).rejects.toMatchObject({
      code: 'quota_exceeded',
      details: { quota: 'images', limit: 1, used: 1 },
    });
    expect(await rig.upload(known, { mode })).toMatchObject({ outcome: 'known', image: { id: image.id } });
  }
  expect(await rig.storedKeys()).toEqual(storedKeys);
  expect((await rig.upload(await makeUniquePicture(), { tenantName: 'other' })).outcome).toBe('new');
});

test('applies a quota of the tenant instead of the default, also one that allows everything', async () => {
  const rig = await makeRig(resources, { quotas: { images: 1, bytes: 1 } });
  const configure = (own: object) => rig.services.tenantSettings.replace(unrestrictedPrincipal, 'shop', own);
  await rig.tenants.ensure('shop');
  await configure({ quota_images: 2, quota_bytes: null });
  await rig.upload(await makeUniquePicture());
  await rig.upload(await makeUniquePicture());
  await expect(rig.upload(await makeUniquePicture())).rejects.toMatchObject({ details: { limit: 2 } });
  await configure({ quota_images: null });
  await expect(rig.upload(await makeUniquePicture())).rejects.toMatchObject({
    details: { quota: 'bytes', limit: 1 },
  });
});

test('checks the bytes of an import once it is downloaded, and accepts it in a retry once there is room', async () => {
  const origin = await startOrigin();
  const [first, second] = [await makeUniquePicture(), await makeUniquePicture()];
  const uploaded = await (await makeRig(resources)).upload(first);
  const renditionBytes = uploaded.image.renditions.reduce((sum, { bytes }) => sum + bytes, 0);
  // The renditions of the first image count too, so there is not enough room for the second one.
  const rig = await makeRig(resources, {
    quotas: { bytes: first.length + renditionBytes + Math.floor(0.75 * second.length) },
  });
  const storedKeys = await rig.storedKeys();

  const { image } = await importOne(rig, origin.put('/second.jpg', second));
  const job = await claimOne(database, 60, 'import');
  expect(await rig.runJob(job)).toMatchObject({ state: 'failed', error: { code: 'quota_exceeded' } });
  expect(await rig.image(image.id)).toMatchObject({ status: 'failed', errorCode: 'quota_exceeded' });
  expect(await rig.report(job.id)).toMatchObject({ failureClass: 'permanent' });
  expect(await rig.storedKeys()).toEqual(storedKeys);

  const { image: copy } = await importOne(rig, origin.put('/first.jpg', first));
  expect(await rig.runJob(await claimOne(database, 60, 'import'))).toMatchObject({ state: 'completed' });
  expect(await rig.image(copy.id)).toMatchObject({ duplicateOf: uploaded.image.id });

  await rig.softDelete({ id: uploaded.image.id });
  await rig.softDelete({ id: copy.id });
  await rig.services.jobs.retry(unrestrictedPrincipal, job.id);
  expect(await rig.runJob(await claimOne(database, 60, 'import'))).toMatchObject({ state: 'completed' });
});

test('rejects imports without room at the request, in a batch line by line', async () => {
  const rig = await makeRig(resources, { quotas: { importsPerDay: 3, images: 4 } });
  await rig.upload(await makeUniquePicture());
  const url = (name: string) => ({ url: `http://127.0.0.1:9/${name}`, tenantName: 'shop' });
  const { lines } = await rig.ingestUrls.many(unrestrictedPrincipal, ['a', 'b', 'c', 'd', 'a'].map(url));
  expect(lines.map(({ outcome, code, imageId }) => [outcome, code, imageId !== null])).toEqual([
    ['new', null, true],
    ['new', null, true],
    ['new', null, true],
    ['refused', 'import_quota_exceeded', false],
    ['active', null, true],
  ]);
  expect(lines[3]?.error).toMatch(/quota is 3 a day/);
  await expect(importOne(rig, url('e').url)).rejects.toMatchObject({ code: 'import_quota_exceeded' });
  expect((await importOne(rig, url('a').url)).outcome).toBe('active');
  await database.runScript('UPDATE import_counts SET day = day - 1');
  await expect(importOne(rig, url('e').url)).rejects.toMatchObject({
    code: 'quota_exceeded',
    details: { quota: 'images', limit: 4, used: 4 },
  });
  // A line that is rejected is part of the report, like every other one.
  const report = await rig.services.findImport(
    unrestrictedPrincipal,
    { id: (await lastImport()).id },
    { limit: 10, offset: 0 },
  );
  expect(report.failures).toMatchObject([{ line: 4, code: 'import_quota_exceeded' }]);
});

const lastImport = async () => {
  const [row] = await database.session((run) => run('SELECT max(id)::int AS id FROM imports'));
  return row as { id: number };
};

test('rejects a restoration without room', async () => {
  const rig = await makeRig(resources, { quotas: { images: 1 } });
  const { image } = await rig.upload(await makeUniquePicture());
  await rig.softDelete({ id: image.id });
  await rig.upload(await makeUniquePicture());
  const restore = () => rig.services.restoreImage(unrestrictedPrincipal, { uuid: image.uuid });
  await expect(restore()).rejects.toMatchObject({ code: 'quota_exceeded' });
  await expect(rig.services.restoreImage(unrestrictedPrincipal, { id: 999_999 })).rejects.toMatchObject({
    code: 'image_not_found',
  });
  await rig.services.tenantSettings.replace(unrestrictedPrincipal, 'shop', { quota_images: 2 });
  expect((await restore()).id).toBe(image.id);
});

test('shows quotas beside the usage', async () => {
  const rig = await makeRig(resources, { quotas: { images: 7, importsPerDay: 5 } });
  await rig.upload(await makeUniquePicture());
  await importOne(rig, 'http://127.0.0.1:9/a');
  await rig.services.tenantSettings.replace(unrestrictedPrincipal, 'shop', {
    quota_images: null,
    quota_bytes: 9,
  });
  const expected = { images: 2, importsToday: 1, quotas: { images: null, bytes: 9, importsPerDay: 5 } };
  expect(await rig.services.usage.tenant(unrestrictedPrincipal, 'shop')).toMatchObject(expected);
  expect(await rig.services.usage.tenants(unrestrictedPrincipal)).toContainEqual(
    expect.objectContaining(expected),
  );
});
