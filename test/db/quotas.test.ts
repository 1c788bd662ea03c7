import { describe, expect, test } from 'vitest';
import type { UrlLine } from '../../src/db/jobs/enqueue-urls.ts';
import { makeQueries } from '../../src/db/queries.ts';
import { systemPrincipal, unrestrictedPrincipal } from '../../src/model/principal.ts';
import { noQuotas, type Quotas } from '../../src/model/quota.ts';
import { selectRow, useDatabase } from '../support/inner/database.ts';
import {
  makeDerivedFacts,
  makeFetchedContent,
  makeRendition,
  makeUpload,
  sha256Hex,
} from '../support/inner/records.ts';

const database = await useDatabase();
const { jobs, deletion, tenants, quotas } = makeQueries(database);
const [shop, otherTenant] = [await tenants.ensure('shop'), await tenants.ensure('other')];

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
