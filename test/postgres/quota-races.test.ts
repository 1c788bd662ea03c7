import { expect, test } from 'vitest';
import type { UrlLine } from '../../src/db/jobs/enqueue-urls.ts';
import { makeQueries } from '../../src/db/queries.ts';
import { systemPrincipal, unrestrictedPrincipal } from '../../src/model/principal.ts';
import { noQuotas } from '../../src/model/quota.ts';
import { selectRow } from '../support/inner/database.ts';
import { makeUpload, sha256Hex } from '../support/inner/records.ts';
import { openTestServerDatabase } from '../support/inner/server-database.ts';

const requests = Array.from({ length: 20 }, (_, index) => index);

async function open() {
  const { database } = await openTestServerDatabase();
  const queries = makeQueries(database);
  const shop = await queries.tenants.ensure('shop');
  const readAmount = () =>
    selectRow<{ images: number; bytes: number }>(
      database,
      `SELECT count(*) AS images, coalesce(sum(original_bytes), 0)::bigint AS bytes FROM images WHERE deleted_at IS NULL`,
    );
  return { ...queries, shop, readAmount };
}

/** Resolves with the number of requests that succeeded. All others must have failed because of a quota. */
async function countAccepted(results: readonly Promise<unknown>[]): Promise<number> {
  const settled = await Promise.allSettled(results);
  for (const result of settled)
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'quota_exceeded' });
  return settled.filter(({ status }) => status === 'fulfilled').length;
}

test.each([
  { name: 'images', quotas: { ...noQuotas, images: 15 } },
  { name: 'bytes', quotas: { ...noQuotas, bytes: 15_999 } },
])('20 parallel uploads with room for 5: exactly 5 are accepted ($name)', async ({ quotas }) => {
  const { jobs, shop, readAmount } = await open();
  for (let index = 0; index < 10; index += 1)
    await jobs.enqueueUpload(makeUpload(shop.id, `earlier ${index}`));
  const accepted = await countAccepted(
    requests.map((index) => jobs.enqueueUpload(makeUpload(shop.id, `vase ${index}`, { quotas }))),
  );
  expect(accepted).toBe(5);
  expect(await readAmount()).toEqual({ images: 15, bytes: 15_000 });
});

test('parallel uploads, imports and restorations share the room of one tenant', async () => {
  const { jobs, deletion, shop, readAmount } = await open();
  const quotas = { ...noQuotas, images: 9 };
  const deletedIds: number[] = [];
  for (const index of requests.slice(0, 8)) {
    const { imageId } = await jobs.enqueueUpload(makeUpload(shop.id, `deleted ${index}`));
    await deletion.softDelete(unrestrictedPrincipal, { id: imageId }, false);
    deletedIds.push(imageId);
  }
  const importUrl = async (index: number) => {
    const line: UrlLine = {
      tenantId: shop.id,
      url: `u${index}`,
      urlHash: sha256Hex(`u${index}`),
      reference: 'page',
    };
    const [result] = await jobs.enqueueUrls(
      systemPrincipal,
      [line],
      'allow-retry',
      50,
      new Map([[shop.id, quotas]]),
    );
    if (result?.quotaError) throw result.quotaError;
  };
  const accepted = await countAccepted([
    ...requests
      .slice(0, 8)
      .map((index) => jobs.enqueueUpload(makeUpload(shop.id, `new ${index}`, { quotas }))),
    ...requests.slice(0, 8).map(importUrl),
    ...deletedIds.map((id) => deletion.restore(unrestrictedPrincipal, { id }, quotas)),
  ]);
  expect(accepted).toBe(9);
  expect((await readAmount()).images).toBe(9);
});

test('20 parallel imports with room for 5 on this day: exactly 5 are accepted', async () => {
  const { jobs, shop } = await open();
  const quotas = new Map([[shop.id, { ...noQuotas, importsPerDay: 5 }]]);
  const results = await Promise.all(
    requests.map((index) =>
      jobs.enqueueUrls(
        systemPrincipal,
        [{ tenantId: shop.id, url: `u${index}`, urlHash: sha256Hex(`u${index}`), reference: undefined }],
        'reuse-completed',
        50,
        quotas,
      ),
    ),
  );
  const outcomes = results.flat().map(({ outcome }) => outcome);
  expect(outcomes.filter((outcome) => outcome === 'new')).toHaveLength(5);
  expect(outcomes.filter((outcome) => outcome === 'refused')).toHaveLength(15);
});

test('20 parallel uploads of the same bytes at the quota yield one image', async () => {
  const { jobs, shop, readAmount } = await open();
  const upload = makeUpload(shop.id, 'same', { quotas: { ...noQuotas, images: 1 } });
  expect(await countAccepted(requests.map(() => jobs.enqueueUpload(upload)))).toBe(20);
  expect((await readAmount()).images).toBe(1);
});
