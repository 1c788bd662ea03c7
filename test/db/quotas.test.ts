import { describe, expect, test } from 'vitest';
import type { UrlLine } from '../../src/db/jobs/enqueue-urls.ts';
import { makeQueries } from '../../src/db/queries.ts';
import { systemPrincipal, unrestrictedPrincipal } from '../../src/model/principal.ts';
import { noQuotas, type Quotas } from '../../src/model/quota.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { selectRow, useDatabase } from '../support/inner/database.ts';
import {
  makeDerivedFacts,
  makeFetchedContent,
  makeRendition,
  makeUpload,
  sha256Hex,
} from '../support/inner/records.ts';

const database = await useDatabase();
const { jobs, deletion, tenants, quotas, usage } = makeQueries(database);
const [shop, otherTenant] = [await tenants.ensure('shop'), await tenants.ensure('other')];
const catalog = makeCatalog(database, shop.id);

const limit = (limits: Partial<Quotas>): Quotas => ({ ...noQuotas, ...limits });
const upload = (content: string, limits: Partial<Quotas>, bytes = 1_000) =>
  jobs.enqueueUpload(makeUpload(shop.id, content, { quotas: limit(limits), bytes }));
const urlLine = (name: string, tenantId = shop.id): UrlLine => ({
  tenantId,
  url: `https://a.example/${name}`,
  urlHash: sha256Hex(name),
  reference: undefined,
});
const importUrls = (lines: readonly UrlLine[], limits: Partial<Quotas>) =>
  jobs.enqueueUrls(systemPrincipal, lines, 'reuse-completed', 50, new Map([[shop.id, limit(limits)]]));
const countImages = async () =>
  (
    await selectRow<{ count: number }>(
      database,
      'SELECT count(*) AS count FROM images WHERE deleted_at IS NULL',
    )
  ).count;
/** Returns today's imports of a tenant. */
const countImports = async (name: string) =>
  [...(await quotas.listByTenant(unrestrictedPrincipal, name)).values()].map(
    ({ importsToday }) => importsToday,
  )[0];
const exceeded = (quota: string, max: number, used: number) =>
  expect.objectContaining({ code: 'quota_exceeded', details: { quota, limit: max, used } });

describe('the quota of images', () => {
  test('accepts uploads up to the limit, and names quota, limit and value beyond it', async () => {
    await upload('one', { images: 2 });
    await upload('two', { images: 2 });
    await expect(upload('three', { images: 2 })).rejects.toEqual(exceeded('images', 2, 2));
    await expect(upload('three', { images: 2 })).rejects.toThrow(/has 2 images; its quota is 2 images/);
    expect(await countImages()).toBe(2);
  });

  test('does not apply to content that the tenant already has, or to other tenants', async () => {
    const { imageId } = await upload('one', {});
    expect(await upload('one', { images: 1 })).toMatchObject({ outcome: 'known', imageId });
    const own = await jobs.enqueueUpload(makeUpload(otherTenant.id, 'two', { quotas: limit({ images: 1 }) }));
    expect(own.outcome).toBe('new');
  });

  test('does not apply to a failed image that is uploaded again', async () => {
    const first = await jobs.enqueueUpload(makeUpload(shop.id, 'one', { leaseSeconds: 60 }));
    if (first.outcome === 'known') throw new Error('The content is known.');
    await jobs.recordFailure(
      first.job,
      { failureClass: 'permanent', stage: 'decode', code: 'picture_cut', error: 'It is cut.' },
      { state: 'failed' },
    );
    expect(await upload('one', { images: 0, bytes: 0 })).toMatchObject({ outcome: 'retried' });
  });

  test('leaves room again once an image is deleted, and rejects a restoration without room', async () => {
    const { imageId } = await upload('one', { images: 1 });
    await deletion.softDelete(unrestrictedPrincipal, { id: imageId }, false);
    await upload('two', { images: 1 });
    const restore = (images: number) =>
      deletion.restore(unrestrictedPrincipal, { id: imageId }, limit({ images }));
    await expect(restore(1)).rejects.toEqual(exceeded('images', 1, 1));
    expect(await countImages()).toBe(1);
    expect(await restore(2)).toBe(true);
    // Restoring an image that is not deleted adds nothing.
    expect(await restore(0)).toBe(true);
  });
});

describe('the quota of bytes', () => {
  test('counts originals and renditions', async () => {
    const first = await jobs.enqueueUpload(makeUpload(shop.id, 'one', { leaseSeconds: 60 }));
    if (first.outcome === 'known') throw new Error('The content is known.');
    await jobs.complete(first.job, [makeRendition(shop.id, 'one', 'card', 300)], makeDerivedFacts('one'));
    await expect(upload('two', { bytes: 2_299 })).rejects.toEqual(exceeded('bytes', 2_299, 1_300));
    await expect(upload('two', { bytes: 2_299 })).rejects.toThrow(
      /stores 1300 bytes, and this would add 1000; its quota is 2299 bytes/,
    );
    expect((await upload('two', { bytes: 2_300 })).outcome).toBe('new');
  });

  test('applies to the original of an import, unless the tenant already has it', async () => {
    await upload('vase', {});
    await importUrls([urlLine('a'), urlLine('b')], {});
    const [first, second] = await jobs.claimDue('import', 2, 60);
    const attach = (job: typeof first, content: string, bytes: number) =>
      jobs.attachContent(job!, { ...makeFetchedContent(shop.id, content), quotas: limit({ bytes }) });
    expect(await attach(first, 'vase', 1)).toBe(true);
    await expect(attach(second, 'lamp', 1_999)).rejects.toEqual(exceeded('bytes', 1_999, 1_000));
    expect(await attach(second, 'lamp', 2_000)).toBe(true);
  });

  test('is not checked for a restored image whose files others already count', async () => {
    const { imageId } = await upload('one', {});
    await deletion.softDelete(unrestrictedPrincipal, { id: imageId }, false);
    await upload('one', {});
    expect(await deletion.restore(unrestrictedPrincipal, { id: imageId }, limit({ bytes: 1_000 }))).toBe(
      true,
    );
  });

  test('can be checked without adding anything', async () => {
    await upload('one', {});
    await expect(quotas.assertRoom(shop.id, limit({ bytes: 1_500 }), { bytes: 501 })).rejects.toEqual(
      exceeded('bytes', 1_500, 1_000),
    );
    await expect(
      quotas.assertRoom(shop.id, limit({ bytes: 1_500 }), { bytes: 500 }),
    ).resolves.toBeUndefined();
  });
});

describe('deleted images that wait for a purge', () => {
  /** Returns the image's id. */
  async function uploadAndDelete(content: string, limits: Partial<Quotas>): Promise<number> {
    const uploaded = await jobs.enqueueUpload(
      makeUpload(shop.id, content, { quotas: limit(limits), bytes: 1_000, leaseSeconds: 60 }),
    );
    if (uploaded.outcome === 'known') throw new Error('The content is known.');
    await jobs.complete(uploaded.job, [], makeDerivedFacts(content));
    await deletion.softDelete(unrestrictedPrincipal, { id: uploaded.imageId }, false);
    return uploaded.imageId;
  }
  const restore = (id: number, limits: Partial<Quotas>) =>
    deletion.restore(unrestrictedPrincipal, { id }, limit(limits));

  test.each([
    {
      quota: 'images',
      max: 3,
      message:
        /has 0 images, and 6 deleted images wait for a purge; its quota is 3 images, and deleted images may use as much again\. Purge deleted images/,
    },
    {
      quota: 'bytes',
      max: 3_000,
      message:
        /stores 0 bytes, deleted images with 6000 bytes wait for a purge, and this would add 1000; its quota is 3000 bytes, and deleted images may use as much again\. Purge/,
    },
  ])('stop a loop of uploads and deletions at twice the quota of $quota', async ({ quota, max, message }) => {
    const limits = { [quota]: max };
    const ids: number[] = [];
    for (const content of ['1', '2', '3', '4', '5', '6']) ids.push(await uploadAndDelete(content, limits));
    await expect(upload('7', limits)).rejects.toEqual(exceeded(quota, max, max));
    await expect(upload('7', limits)).rejects.toThrow(message);
    await catalog.purge(ids[0]!);
    expect(await upload('7', limits)).toMatchObject({ outcome: 'new' });
    await expect(upload('8', limits)).rejects.toThrow(/wait for a purge/);
  });

  test('include the renditions of deleted images', async () => {
    await catalog.softDelete(await catalog.add('vase'));
    const { deletedBytes } = (await usage.findByTenant(unrestrictedPrincipal, 'shop'))!;
    expect(deletedBytes).toBe(1_318);
    // The deleted image exceeds the quota by 118 bytes.
    await expect(upload('lamp', { bytes: 1_200 }, 1_083)).rejects.toEqual(exceeded('bytes', 1_200, 118));
    expect(await upload('lamp', { bytes: 1_200 }, 1_082)).toMatchObject({ outcome: 'new' });
  });

  test('can be uploaded again or restored while they use less than the quota', async () => {
    const ids = [await uploadAndDelete('1', { images: 1 }), await uploadAndDelete('1', { images: 2 })];
    expect(await upload('1', { images: 2 })).toMatchObject({ outcome: 'new' });
    expect(await restore(ids[0]!, { images: 2 })).toBe(true);
  });

  test('can be restored if they use more than the quota, because a restoration adds no files', async () => {
    const ids = [];
    for (const content of ['1', '2', '3', '4']) ids.push(await uploadAndDelete(content, {}));
    expect(await restore(ids[0]!, { images: 1, bytes: 1_000 })).toBe(true);
    await expect(restore(ids[1]!, { images: 1 })).rejects.toEqual(exceeded('images', 1, 1));
  });

  test('count towards the quota of imports', async () => {
    for (const content of ['1', '2', '3', '4']) await uploadAndDelete(content, {});
    const [refused] = await importUrls([urlLine('a')], { images: 2 });
    expect(refused!.quotaError).toEqual(exceeded('images', 2, 2));
    expect(await importUrls([urlLine('a'), urlLine('b')], { images: 3 })).toMatchObject([
      { outcome: 'new' },
      { outcome: 'new' },
    ]);
  });

  test('of another tenant do not count', async () => {
    for (const content of ['1', '2', '3']) await uploadAndDelete(content, {});
    const other = makeUpload(otherTenant.id, 'one', { quotas: limit({ images: 1 }) });
    expect(await jobs.enqueueUpload(other)).toMatchObject({ outcome: 'new' });
  });
});

describe('the quota of imports', () => {
  test('rejects the lines of a batch that exceed it', async () => {
    const lines = [urlLine('a'), urlLine('b'), urlLine('a'), urlLine('c'), urlLine('c')];
    const results = await importUrls(lines, { importsPerDay: 2 });
    expect(results.map(({ outcome }) => outcome)).toEqual(['new', 'new', 'active', 'refused', 'refused']);
    const { quotaError } = results[3]!;
    expect(quotaError).toMatchObject({
      code: 'import_quota_exceeded',
      message: expect.stringMatching(/requested 2 imports since midnight UTC; its quota is 2 a day/),
      details: { quota: 'imports_per_day', limit: 2, used: 2 },
    });
    expect(quotaError?.retryAfterSeconds).toBeGreaterThan(0);
    expect(quotaError?.retryAfterSeconds).toBeLessThanOrEqual(86_400);
    expect(await countImages()).toBe(2);
  });

  test('counts imports whose images were deleted, until the next day', async () => {
    const [first] = await importUrls([urlLine('a')], { importsPerDay: 1 });
    await deletion.softDelete(unrestrictedPrincipal, { id: first!.imageId }, false);
    expect(await importUrls([urlLine('b')], { importsPerDay: 1 })).toMatchObject([{ outcome: 'refused' }]);
    expect(await countImports('shop')).toBe(1);
    await database.runScript('UPDATE import_counts SET day = day - 1');
    expect(await countImports('shop')).toBe(0);
    expect(await importUrls([urlLine('b')], { importsPerDay: 1 })).toMatchObject([{ outcome: 'new' }]);
    expect(await countImports('shop')).toBe(1);
  });

  test('does not count known URLs, and counts imports of tenants without quotas', async () => {
    await importUrls([urlLine('a'), urlLine('a'), urlLine('a', otherTenant.id)], {});
    expect(await countImports('shop')).toBe(1);
    expect(await countImports('other')).toBe(1);
  });

  test('and the quota of images apply to each tenant of a batch separately', async () => {
    const lines = [urlLine('a'), urlLine('b'), urlLine('a', otherTenant.id), urlLine('b', otherTenant.id)];
    const results = await importUrls(lines, { images: 1 });
    expect(results.map(({ outcome }) => outcome)).toEqual(['new', 'refused', 'new', 'new']);
    expect(results[1]!.quotaError).toEqual(exceeded('images', 1, 1));
  });
});
