import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { selectRows } from '../support/inner/database.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { makeRig, useTestResources } from '../support/inner/rig.ts';
import { countWakes } from '../support/inner/wakes.ts';

const resources = await useTestResources();
const vaseUrl = 'https://example.com/vase.jpg';
const page = { limit: 50, offset: 0 };

test('records a pending image and a job for a URL, and wakes a worker', async () => {
  const rig = await makeRig(resources);
  const wakes = countWakes(rig.queue);
  const { outcome, image } = await rig.ingestUrls.one(unrestrictedPrincipal, {
    url: `${vaseUrl}#part`,
    tenantName: 'shop',
    reference: 'page 1',
  });
  expect(outcome).toBe('new');
  expect(image).toMatchObject({ status: 'pending', url: vaseUrl, tenant: 'shop', inUseCount: 1 });
  expect(wakes.count).toBe(1);
  expect(await claimOne(resources.database, 60, 'import')).toMatchObject({ imageId: image.id });
});

test('returns the existing image for an equivalent URL whose import is active or completed', async () => {
  const rig = await makeRig(resources);
  const origin = await startOrigin();
  const url = origin.put('/vase.jpg', await makeUniquePicture());
  const firstImport = await rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' });
  const urlWithUpperCaseScheme = url.replace('http:', 'HTTP:');
  expect(
    await rig.ingestUrls.one(unrestrictedPrincipal, { url: urlWithUpperCaseScheme, tenantName: 'shop' }),
  ).toMatchObject({
    outcome: 'active',
    image: { id: firstImport.image.id },
  });
  await rig.runJob(await claimOne(resources.database, 60, 'import'));
  expect(
    await rig.ingestUrls.one(unrestrictedPrincipal, { url: `${url}#2`, tenantName: 'shop' }),
  ).toMatchObject({
    outcome: 'known',
    image: { id: firstImport.image.id, status: 'completed' },
  });
  expect(origin.requestCount('/vase.jpg')).toBe(1);
});

test('with DUPLICATE_HANDLING=reject-active, rejects a URL that is being imported and reports its image', async () => {
  const rig = await makeRig(resources, { duplicateHandling: 'reject-active' });
  const { image } = await rig.ingestUrls.one(unrestrictedPrincipal, { url: vaseUrl, tenantName: 'shop' });
  await expect(
    rig.ingestUrls.one(unrestrictedPrincipal, { url: vaseUrl, tenantName: 'shop' }),
  ).rejects.toMatchObject({
    code: 'import_active',
    message: `This URL is already being imported as image ${image.id}. Try again when that import has finished.`,
    details: { image_id: image.id },
  });
});

test.each([
  ['an invalid URL', 'vase.jpg', 'invalid_url'],
  ['an unsupported scheme', 'ftp://example.com/vase.jpg', 'invalid_url'],
  ['a private address', 'http://10.0.0.1/vase.jpg', 'address_not_allowed'],
  ['a loopback address that is not allowed', 'http://127.0.0.2/vase.jpg', 'address_not_allowed'],
])('rejects %s, and records nothing', async (_case, url, code) => {
  const rig = await makeRig(resources);
  await expect(rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' })).rejects.toMatchObject({
    code,
  });
  expect(await selectRows(resources.database, 'SELECT 1 FROM images')).toEqual([]);
});

test.each([
  ['is empty', ''],
  ['is too long', 'x'.repeat(201)],
  ['contains a control character', 'page\u0007'],
])('rejects a reference that %s', async (_case, reference) => {
  const rig = await makeRig(resources);
  const line = { url: vaseUrl, tenantName: 'shop', reference };
  await expect(rig.ingestUrls.one(unrestrictedPrincipal, line)).rejects.toMatchObject({
    code: 'invalid_request',
  });
});

test('rejects each invalid line with a reason, and records the other lines', async () => {
  const rig = await makeRig(resources);
  const receipt = await rig.ingestUrls.many(unrestrictedPrincipal, [
    { url: vaseUrl, tenantName: 'shop', reference: 'page 1' },
    { url: 'nonsense', tenantName: 'shop' },
    { url: vaseUrl, tenantName: 'shop' },
    { url: `${vaseUrl}?2`, tenantName: 'no/tenant' },
    { url: 'http://10.0.0.1/', tenantName: 'shop' },
    { url: `${vaseUrl}?3`, tenantName: 'other' },
  ]);
  expect(receipt.lines.map(({ line, outcome, code }) => [line, outcome, code])).toEqual([
    [1, 'new', null],
    [2, 'refused', 'invalid_url'],
    [3, 'active', null],
    [4, 'refused', 'invalid_tenant'],
    [5, 'refused', 'address_not_allowed'],
    [6, 'new', null],
  ]);
  expect(receipt.lines[2]?.imageId).toBe(receipt.lines[0]?.imageId);
  expect(receipt.lines[1]).toMatchObject({
    url: 'nonsense',
    imageId: null,
    error: 'The URL "nonsense" is not valid: it must begin with http:// or https:// and include a host.',
  });
  const report = await rig.imports.find(unrestrictedPrincipal, { uuid: receipt.uuid }, page);
  expect(report).toMatchObject({
    id: receipt.id,
    total: 6,
    refused: 3,
    images: { pending: 3, processing: 0, completed: 0, failed: 0 },
    failuresTotal: 3,
  });
  expect(report?.failures.map(({ line }) => line)).toEqual([2, 4, 5]);
});

test('records an import whose lines are all rejected', async () => {
  const rig = await makeRig(resources);
  const { id } = await rig.ingestUrls.many(unrestrictedPrincipal, [{ url: 'nonsense', tenantName: 'shop' }]);
  expect(await rig.imports.find(unrestrictedPrincipal, { id }, page)).toMatchObject({ total: 1, refused: 1 });
});

test('counts the completed and failed images of an import, but not its deleted images', async () => {
  const rig = await makeRig(resources);
  const origin = await startOrigin();
  const urls = [origin.put('/a.jpg', await makeUniquePicture()), origin.put('/b.jpg', 404), `${vaseUrl}?c`];
  const { id, lines } = await rig.ingestUrls.many(
    unrestrictedPrincipal,
    urls.map((url) => ({ url, tenantName: 'shop' })),
  );
  for (const job of await rig.jobs.claimDue('import', 2, 60)) await rig.runJob(job);
  await rig.softDelete({ id: lines[2]!.imageId! });
  const report = await rig.imports.find(unrestrictedPrincipal, { id }, page);
  expect(report).toMatchObject({
    total: 3,
    refused: 0,
    images: { pending: 0, processing: 0, completed: 1, failed: 1 },
    failuresTotal: 1,
    failures: [{ line: 2, code: 'source_refused', imageId: lines[1]?.imageId }],
  });
});

test('lets a caller that is restricted to a tenant see and create only imports of that tenant', async () => {
  const rig = await makeRig(resources);
  const shop = await rig.tenants.ensure('shop');
  const shopPrincipal = { ...unrestrictedPrincipal, tenantId: shop.id, tenantName: shop.name };
  const lines = [{ url: vaseUrl, tenantName: 'shop' }];
  const [unrestrictedImport, ownImport] = [
    await rig.ingestUrls.many(unrestrictedPrincipal, lines),
    await rig.ingestUrls.many(shopPrincipal, lines),
  ];
  expect(await rig.imports.find(shopPrincipal, { id: unrestrictedImport.id }, page)).toBeUndefined();
  expect(await rig.imports.find(shopPrincipal, { id: ownImport.id }, page)).toMatchObject({
    id: ownImport.id,
  });
  const otherTenantImport = await rig.ingestUrls.many(shopPrincipal, [{ url: vaseUrl, tenantName: 'other' }]);
  expect(otherTenantImport.lines[0]).toMatchObject({ outcome: 'refused', code: 'tenant_not_allowed' });
});

test('rejects URLs while the disk is nearly full, and records nothing', async () => {
  const rig = await makeRig(resources, { minFreeBytes: 2 ** 60 });
  const line = { url: 'http://127.0.0.1/a.jpg', tenantName: 'shop' };
  const storageFull = { code: 'storage_full', status: 507 };
  await expect(rig.ingestUrls.one(unrestrictedPrincipal, line)).rejects.toMatchObject(storageFull);
  await expect(rig.ingestUrls.many(unrestrictedPrincipal, [line])).rejects.toMatchObject(storageFull);
  expect(await selectRows(resources.database, 'SELECT 1 FROM images')).toEqual([]);
});
