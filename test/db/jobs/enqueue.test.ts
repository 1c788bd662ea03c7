import { expect, test } from 'vitest';
import { makeDeletionQueries } from '../../../src/db/images/deletion.ts';
import { makeImageQueries } from '../../../src/db/images/images.ts';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { selectRow, useDatabase } from '../../support/inner/database.ts';
import { sha256Hex, makeUpload } from '../../support/inner/records.ts';

const database = await useDatabase();
const images = makeImageQueries(database);
const jobs = makeJobQueries(database);
const tenants = makeTenantQueries(database);
const [shop, otherTenant] = [await tenants.ensure('shop'), await tenants.ensure('other')];

const countRows = () =>
  selectRow<{ images: number; jobs: number }>(
    database,
    'SELECT (SELECT count(*) FROM images) AS images, (SELECT count(*) FROM jobs) AS jobs',
  );

test('records a new picture as an image with a pending job', async () => {
  const upload = await jobs.enqueueUpload(makeUpload(shop.id, 'vase'));
  expect(upload.outcome).toBe('new');
  const image = await images.find(unrestrictedPrincipal, { id: upload.imageId });
  expect(image).toMatchObject({
    tenant: 'shop',
    status: 'pending',
    filename: 'vase.jpg',
    contentHash: sha256Hex('vase'),
    originalBytes: 1000,
    width: 300,
    height: 200,
    format: 'jpeg',
    colorSpace: 'RGB',
    damagedAt: null,
    renditions: [],
  });
  expect(image?.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  const [claimedJob] = await jobs.claimDue('derive', 9, 60);
  expect(claimedJob).toMatchObject({ imageId: upload.imageId, original: { contentHash: sha256Hex('vase') } });
});

test('records an inline upload with a claimed job', async () => {
  const upload = await jobs.enqueueUpload(makeUpload(shop.id, 'inline', { leaseSeconds: 60 }));
  expect(await jobs.claimDue('derive', 9, 60)).toEqual([]);
  expect(await images.find(unrestrictedPrincipal, { id: upload.imageId })).toMatchObject({
    status: 'processing',
  });
  if (upload.outcome === 'known') throw new Error('The content is known.');
  expect(await jobs.renewLeases([upload.job], 60)).toEqual(new Set([upload.job]));
});

test('adds nothing if the tenant already has the content', async () => {
  const firstUpload = await jobs.enqueueUpload(makeUpload(shop.id, 'twice'));
  expect(await jobs.enqueueUpload(makeUpload(shop.id, 'twice'))).toEqual({
    outcome: 'known',
    imageId: firstUpload.imageId,
  });
  expect(await countRows()).toEqual({ images: 1, jobs: 1 });
});

test('creates one image and one job for a hundred concurrent uploads with the same content', async () => {
  const results = await Promise.all(
    Array.from({ length: 100 }, () =>
      jobs.enqueueUpload(makeUpload(shop.id, 'concurrent', { leaseSeconds: 60 })),
    ),
  );
  expect(new Set(results.map(({ imageId }) => imageId)).size).toBe(1);
  expect(results.filter(({ outcome }) => outcome === 'new')).toHaveLength(1);
  expect(await countRows()).toEqual({ images: 1, jobs: 1 });
});

test('creates one image per tenant for the same content', async () => {
  const [shopResult, otherResult] = await Promise.all(
    [shop, otherTenant].map((tenant) => jobs.enqueueUpload(makeUpload(tenant.id, 'shared'))),
  );
  expect(shopResult?.outcome).toBe('new');
  expect(otherResult?.outcome).toBe('new');
  expect(shopResult?.imageId).not.toBe(otherResult?.imageId);
});

test('requeues a failed image when its content is uploaded again', async () => {
  const firstUpload = await jobs.enqueueUpload(makeUpload(shop.id, 'failed', { leaseSeconds: 60 }));
  if (firstUpload.outcome === 'known') throw new Error('The content is known.');
  const attempt = {
    failureClass: 'permanent',
    stage: 'decode',
    code: 'picture_damaged',
    error: 'No.',
  } as const;
  await jobs.recordFailure(firstUpload.job, attempt, { state: 'failed' });
  const secondUpload = await jobs.enqueueUpload(makeUpload(shop.id, 'failed'));
  expect(secondUpload).toMatchObject({ outcome: 'retried', imageId: firstUpload.imageId });
  expect(await images.find(unrestrictedPrincipal, { id: firstUpload.imageId })).toMatchObject({
    status: 'pending',
    error: null,
    errorCode: null,
  });
  const [claimedJob] = await jobs.claimDue('derive', 9, 60);
  expect(claimedJob).toMatchObject({ imageId: firstUpload.imageId, retries: 0 });
  expect(claimedJob?.id).not.toBe(firstUpload.job.id);
});

test('creates a new image for the content of a deleted image', async () => {
  const firstUpload = await jobs.enqueueUpload(makeUpload(shop.id, 'deleted'));
  await makeDeletionQueries(database).softDelete(unrestrictedPrincipal, { id: firstUpload.imageId }, false);
  const secondUpload = await jobs.enqueueUpload(makeUpload(shop.id, 'deleted'));
  expect(secondUpload.outcome).toBe('new');
  expect(secondUpload.imageId).not.toBe(firstUpload.imageId);
  expect((await images.findByContent(shop.id, sha256Hex('deleted')))?.id).toBe(secondUpload.imageId);
});
