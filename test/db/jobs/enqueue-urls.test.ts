import { systemPrincipal } from '../../../src/model/principal.ts';
import { describe, expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import type { UrlLine } from '../../../src/db/jobs/enqueue-urls.ts';
import { type DuplicatePolicy, duplicatePolicies } from '../../../src/model/import.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const otherTenant = await tenants.ensure('other');
const catalog = makeCatalog(database, shop.id);
const { jobs, claimImport, finish, attach } = catalog;

const makeLine = (url: string, reference?: string, tenantId = shop.id): UrlLine => ({
  tenantId,
  url,
  urlHash: sha256Hex(url),
  reference,
});
const record = (lines: readonly UrlLine[], policy: DuplicatePolicy = 'reuse-completed') =>
  jobs.enqueueUrls(systemPrincipal, lines, policy, 50);
const countRows = () =>
  selectRow<{ images: number; jobs: number }>(
    database,
    'SELECT (SELECT count(*) FROM images) AS images, (SELECT count(*) FROM jobs) AS jobs',
  );
const vaseUrl = 'https://example.com/vase.jpg';

/** Functions that import `vaseUrl` as an image in the given state and return the image’s id. */
const createImage = {
  async pending() {
    return (await record([makeLine(vaseUrl)]))[0]!.imageId;
  },
  processing: async () => (await claimImport(vaseUrl)).imageId,
  async completed() {
    const job = await claimImport(vaseUrl);
    await attach(job, 'vase');
    return finish(job, 'vase');
  },
  async failed() {
    const job = await claimImport(vaseUrl);
    await catalog.fail(job);
    return job.imageId;
  },
  async deleted() {
    const id = await createImage.completed();
    await catalog.softDelete(id);
    return id;
  },
};

test('records a new URL as a pending import and an image without content', async () => {
  const [result] = await record([makeLine(vaseUrl)]);
  expect(result?.outcome).toBe('new');
  expect(await catalog.image(result!.imageId)).toMatchObject({
    status: 'pending',
    url: vaseUrl,
    contentHash: null,
    originalKey: null,
    originalBytes: null,
  });
  const [job] = await catalog.jobs.claimDue('import', 9, 60);
  expect(job).toMatchObject({ imageId: result?.imageId, sourceUrl: vaseUrl, original: null });
  expect(await catalog.jobs.claimDue('derive', 9, 60)).toEqual([]);
});

const expectedOutcomes: Record<DuplicatePolicy, Record<keyof typeof createImage, string>> = {
  'reuse-completed': {
    pending: 'active',
    processing: 'active',
    completed: 'known',
    failed: 'new',
    deleted: 'new',
  },
  'reject-active': {
    pending: 'refused',
    processing: 'refused',
    completed: 'new',
    failed: 'new',
    deleted: 'new',
  },
  'allow-retry': { pending: 'new', processing: 'new', completed: 'new', failed: 'new', deleted: 'new' },
};

describe.each(duplicatePolicies)('with the policy %s', (policy) => {
  test.each(Object.entries(expectedOutcomes[policy]))(
    'reports the URL of a %s image as %s',
    async (state, outcome) => {
      const imageId = await createImage[state as keyof typeof createImage]();
      const [result] = await record([makeLine(vaseUrl)], policy);
      expect(result?.outcome).toBe(outcome);
      expect(result?.imageId === imageId).toBe(outcome !== 'new');
      expect(await countRows()).toMatchObject({ images: outcome === 'new' ? 2 : 1 });
    },
  );
});

test('considers only the latest import of a URL', async () => {
  await createImage.completed();
  const [secondResult] = await record([makeLine(vaseUrl)], 'allow-retry');
  expect(await record([makeLine(vaseUrl)])).toEqual([
    { outcome: 'active', imageId: secondResult?.imageId, job: undefined },
  ]);
});

test('imports a repeated URL once, and queues jobs in the order of the lines', async () => {
  const results = await record([makeLine(vaseUrl), makeLine('https://example.com/b'), makeLine(vaseUrl)]);
  expect(results.map(({ outcome }) => outcome)).toEqual(['new', 'new', 'active']);
  expect(results[2]?.imageId).toBe(results[0]?.imageId);
  expect(results[1]!.imageId).toBeGreaterThan(results[0]!.imageId);
  expect(await countRows()).toEqual({ images: 2, jobs: 2 });
});

test('rejects a repeated URL with reject-active, and imports it again with allow-retry', async () => {
  const results = await record([makeLine(vaseUrl), makeLine(vaseUrl)], 'reject-active');
  expect(results).toEqual([
    { outcome: 'new', imageId: results[0]?.imageId, job: { id: expect.any(Number), kind: 'import' } },
    { outcome: 'refused', imageId: results[0]?.imageId },
  ]);
  const retriedResults = await record([makeLine(vaseUrl), makeLine(vaseUrl)], 'allow-retry');
  expect(retriedResults.map(({ outcome }) => outcome)).toEqual(['new', 'new']);
  expect(new Set(retriedResults.map(({ imageId }) => imageId)).size).toBe(2);
});

test('creates one image per tenant if an import lists the same URL for several tenants', async () => {
  const results = await record([makeLine(vaseUrl), makeLine(vaseUrl, undefined, otherTenant.id)]);
  expect(results.map(({ outcome }) => outcome)).toEqual(['new', 'new']);
  expect(await record([makeLine(vaseUrl, undefined, otherTenant.id)])).toEqual([
    { outcome: 'active', imageId: results[1]?.imageId },
  ]);
});

test('creates one image and one job for forty concurrent imports of the same URL', async () => {
  const batches = await Promise.all(Array.from({ length: 40 }, () => record([makeLine(vaseUrl)])));
  const results = batches.flat();
  expect(new Set(results.map(({ imageId }) => imageId)).size).toBe(1);
  expect(results.filter(({ outcome }) => outcome === 'new')).toHaveLength(1);
  expect(await countRows()).toEqual({ images: 1, jobs: 1 });
});

test('does not deadlock when concurrent imports list the same URLs in different orders', async () => {
  const urls = Array.from({ length: 10 }, (_, n) => `https://example.com/${n}`);
  const lines = urls.flatMap((url) => [makeLine(url), makeLine(url, undefined, otherTenant.id)]);
  await Promise.all([record(lines), record(lines.toReversed()), record(lines), record(lines.toReversed())]);
  expect(await countRows()).toEqual({ images: 20, jobs: 20 });
});

test('adds each reference only once, to the image of its line', async () => {
  const knownId = await createImage.completed();
  await record([
    makeLine(vaseUrl, 'page 1'),
    makeLine(vaseUrl, 'page 1'),
    makeLine(vaseUrl, 'page 2'),
    makeLine(vaseUrl),
  ]);
  await record([makeLine(vaseUrl, 'page 2'), makeLine(vaseUrl, 'page 3')]);
  expect(await catalog.image(knownId)).toMatchObject({ inUseCount: 3 });
  const [addedResult] = await record([makeLine('https://example.com/b', 'page 1')]);
  const references = await selectRows(
    database,
    'SELECT image_id, reference FROM image_references ORDER BY 1, 2',
  );
  expect(references).toEqual([
    ...['page 1', 'page 2', 'page 3'].map((reference) => ({ image_id: knownId, reference })),
    { image_id: addedResult?.imageId, reference: 'page 1' },
  ]);
  expect(await catalog.purging.listTenantsWithoutReferences(shop.id)).toEqual([]);
});

test('does not add the reference of a rejected line', async () => {
  await createImage.pending();
  await record([makeLine(vaseUrl, 'page')], 'reject-active');
  expect(await selectRows(database, 'SELECT 1 FROM image_references')).toEqual([]);
  expect(await catalog.purging.listTenantsWithoutReferences(shop.id)).toEqual(['shop']);
});
