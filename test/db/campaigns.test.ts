import { beforeEach, describe, expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import type { ExpectedVariant } from '../../src/model/campaign.ts';
import type { ClaimedJob } from '../../src/model/job.ts';
import { systemPrincipal, unrestrictedPrincipal } from '../../src/model/principal.ts';
import { selectRows, useDatabase } from '../support/inner/database.ts';
import { claimOne, recordPending } from '../support/inner/jobs.ts';
import { makeDerivedFacts, makeRendition } from '../support/inner/records.ts';

const database = await useDatabase();
const { campaigns, jobs, tenants, deletion, expiredRows, audit } = makeQueries(database);

/** The recipe of the renditions in the test records. */
const recordedRecipe = '0123456789';
const newRecipe = 'abcdef0123';

const makeExpected = (overrides: Partial<ExpectedVariant> = {}): ExpectedVariant => ({
  preset: 'card',
  format: 'jpeg',
  density: 1,
  recipe: newRecipe,
  usesFocalPoint: false,
  isEager: true,
  ...overrides,
});

let tenantId: number;
beforeEach(async () => {
  tenantId = (await tenants.ensure('shop')).id;
});

/** Records completed images with a `card`. Returns their ids. */
async function recordImages(count: number, tenant = tenantId, from = 0): Promise<number[]> {
  const ids: number[] = [];
  for (let i = from; i < from + count; i++) {
    const content = `image ${i}`;
    const { imageId } = await recordPending(database, tenant, content);
    const job = await claimOne(database);
    await jobs.complete(job, [makeRendition(tenant, content, 'card')], makeDerivedFacts(content));
    ids.push(imageId);
  }
  return ids;
}

const create = (overrides: Partial<Parameters<typeof campaigns.create>[1]> = {}) =>
  campaigns.create(systemPrincipal, { presets: ['card'], tenantId: null, images: 0, files: 0, ...overrides });

const fill = (id: number, overrides: Partial<Parameters<typeof campaigns.fill>[1]> = {}) =>
  campaigns.fill(id, { expected: [makeExpected()], isOutdated: () => true, maxPending: 100, ...overrides });

const find = (id: number) => campaigns.find(unrestrictedPrincipal, id);
const claim = (limit = 100): Promise<ClaimedJob[]> => jobs.claimDue('render', limit, 60);
const complete = async (claimed: readonly ClaimedJob[]) => {
  for (const job of claimed) expect(await jobs.completeRender(job)).toBe(true);
};
const fail = (job: ClaimedJob) =>
  jobs.recordFailure(
    job,
    { failureClass: 'permanent', stage: 'decode', code: 'picture_cut', error: 'It is cut.' },
    { state: 'failed' },
  );

describe('which images get a job', () => {
  const imagesWithJob = async (expected: ExpectedVariant) => {
    const count = (await campaigns.countOutdated({ tenantId: null, expected: [expected] })).images;
    const id = await create();
    await fill(id, { expected: [expected] });
    const rows = await selectRows<{ image: number }>(
      database,
      'SELECT image_id AS image FROM jobs WHERE campaign_id IS NOT NULL ORDER BY 1',
    );
    expect(rows).toHaveLength(count);
    return rows.map(({ image }) => image);
  };

  test('those with another recipe', async () => {
    const ids = await recordImages(2);
    expect(await imagesWithJob(makeExpected())).toEqual(ids);
  });

  test('none whose recipe is current', async () => {
    await recordImages(2);
    expect(await imagesWithJob(makeExpected({ recipe: recordedRecipe }))).toEqual([]);
  });

  test('those without a variant that is made at intake, but not without others', async () => {
    const ids = await recordImages(2);
    expect(await imagesWithJob(makeExpected({ format: 'webp', isEager: false }))).toEqual([]);
    expect(await imagesWithJob(makeExpected({ format: 'webp' }))).toEqual(ids);
  });

  test('no deleted and no unfinished images, and none whose old rendition has been superseded', async () => {
    const [deletedId = 0, failedId = 0, supersededId = 0] = await recordImages(3);
    await deletion.softDelete(unrestrictedPrincipal, { id: deletedId }, false);
    await database.runScript(`UPDATE images SET status = 'failed' WHERE id = ${failedId};
      UPDATE renditions SET superseded_at = now() WHERE image_id = ${supersededId}`);
    expect(await imagesWithJob(makeExpected({ isEager: false }))).toEqual([]);
  });

  test('only those of the tenant of the campaign', async () => {
    const other = await tenants.ensure('other');
    const ids = await recordImages(1);
    await recordImages(1, other.id, 7);
    const id = await create({ tenantId });
    const added = await fill(id);
    expect(added).toHaveLength(1);
    expect(
      await selectRows(database, 'SELECT image_id AS id FROM jobs WHERE campaign_id IS NOT NULL'),
    ).toEqual(ids.map((imageId) => ({ id: imageId })));
    const { images } = await campaigns.countOutdated({ tenantId, expected: [makeExpected()] });
    expect(images).toBe(1);
  });

  test('those with a focal point only if their own recipe differs', async () => {
    const [focusedId = 0, otherId = 0] = await recordImages(2);
    await database.runScript(`UPDATE images SET focus_x = 0.25, focus_y = 0.5 WHERE id = ${focusedId}`);
    const expected = [makeExpected({ usesFocalPoint: true, recipe: recordedRecipe })];
    const checked: unknown[] = [];
    const id = await create();
    const isOutdated = (image: object) => {
      checked.push(image);
      return false;
    };
    expect(await fill(id, { expected, isOutdated })).toEqual([]);
    const renditions = [{ preset: 'card', format: 'jpeg', density: 1, recipe: recordedRecipe }];
    const image = { id: focusedId, focalPoint: { x: 0.25, y: 0.5 }, renditions };
    expect(checked).toEqual([image]);
    expect(await campaigns.readFocused({ tenantId: null, expected }, 0)).toEqual([image]);
    expect(await campaigns.readFocused({ tenantId: null, expected }, focusedId)).toEqual([]);
    const second = await create();
    await fill(second, { expected });
    expect(
      await selectRows(database, `SELECT image_id AS id FROM jobs WHERE campaign_id = ${second}`),
    ).toEqual([{ id: focusedId }]);
    expect(otherId).toBeGreaterThan(focusedId);
  });
});

test('counts outdated files by preset and format', async () => {
  await recordImages(3);
  const expected = [
    makeExpected(),
    makeExpected({ format: 'webp' }),
    makeExpected({ format: 'avif', isEager: false }),
  ];
  const { images, files } = await campaigns.countOutdated({ tenantId: null, expected });
  expect(images).toBe(3);
  expect(files.toSorted((a, b) => a.format.localeCompare(b.format))).toEqual([
    { preset: 'card', format: 'jpeg', files: 3 },
    { preset: 'card', format: 'webp', files: 3 },
  ]);
  expect(await campaigns.readMeanBytes(['card'])).toEqual([{ preset: 'card', format: 'jpeg', bytes: 100 }]);
  expect(await campaigns.readMeanBytes(['hero'])).toEqual([]);
});

test('adds jobs in batches, each image once, and counts to the end', async () => {
  await recordImages(5);
  const id = await create({ images: 5, files: 5 });
  expect(await fill(id, { maxPending: 2 })).toHaveLength(2);
  expect(await fill(id, { maxPending: 2 })).toEqual([]);
  expect(await find(id)).toMatchObject({ state: 'running', total: 5, done: 0, remainingSeconds: null });
  const [first, second] = await claim();
  await complete([first!]);
  await fail(second!);
  expect(await campaigns.finish()).toEqual([]);
  expect(await find(id)).toMatchObject({ done: 1, failed: 1, donePerMinute: 2, remainingSeconds: 3 });
  await database.runScript("UPDATE jobs SET finished_at = now() - interval '20 s' WHERE state = 'completed'");
  const { remainingSeconds } = (await find(id)) ?? {};
  expect(remainingSeconds).toBeGreaterThanOrEqual(30);
  expect(remainingSeconds).toBeLessThan(40);
  expect(await campaigns.listFailures(id, 10)).toEqual([
    { jobId: second!.id, imageId: second!.imageId, code: 'picture_cut', error: 'It is cut.' },
  ]);
  expect(await fill(id, { maxPending: 2 })).toHaveLength(2);
  await complete(await claim());
  expect(await fill(id, { maxPending: 2 })).toHaveLength(1);
  expect(await fill(id, { maxPending: 4 })).toEqual([]);
  await complete(await claim());
  expect(await fill(id)).toEqual([]);
  expect(await campaigns.listOpen()).toEqual([]);
  expect(await campaigns.finish()).toEqual([{ id, state: 'completed', done: 4, failed: 1, space: null }]);
  expect(await campaigns.finish()).toEqual([]);
  const finished = await find(id);
  expect(finished).toMatchObject({ state: 'completed', total: 5, done: 4, skipped: 0, failed: 1 });
  expect(finished?.finishedAt).toBeInstanceOf(Date);
});

test('does not add jobs twice when several processes add them at the same time', async () => {
  await recordImages(6);
  const id = await create();
  const added = await Promise.all([fill(id), fill(id), fill(id)]);
  expect(added.flat()).toHaveLength(6);
});

test('counts images that need no job any more as skipped', async () => {
  const [, deletedId = 0] = await recordImages(3);
  const id = await create({ images: 3 });
  await deletion.softDelete(unrestrictedPrincipal, { id: deletedId }, false);
  await fill(id);
  await complete(await claim());
  await fill(id);
  await campaigns.finish();
  expect(await find(id)).toMatchObject({ state: 'completed', total: 3, done: 2, skipped: 1, failed: 0 });
});

test('takes the pending jobs back while paused, and processes the same images after that', async () => {
  await recordImages(4);
  const id = await create({ images: 4 });
  await fill(id);
  const [running] = await claim(1);
  expect(await campaigns.change(systemPrincipal, id, 'pause')).toBe('changed');
  expect(await campaigns.change(systemPrincipal, id, 'pause')).toBe('unchanged');
  expect(await claim()).toEqual([]);
  await complete([running!]);
  expect(await fill(id)).toEqual([]);
  expect(await campaigns.finish()).toEqual([]);
  expect(await find(id)).toMatchObject({ state: 'paused', total: 4, done: 1, remainingSeconds: null });

  expect(await campaigns.change(systemPrincipal, id, 'resume')).toBe('changed');
  expect(await fill(id)).toHaveLength(3);
  const resumed = await claim();
  expect(resumed.map(({ imageId }) => imageId)).not.toContain(running!.imageId);
  await complete(resumed);
  await fill(id);
  await campaigns.finish();
  expect(await find(id)).toMatchObject({ state: 'completed', total: 4, done: 4, skipped: 0, failed: 0 });
});

test('lets running jobs finish when it is cancelled, and cannot be changed afterwards', async () => {
  await recordImages(3);
  const id = await create({ images: 3 });
  await fill(id);
  const [running] = await claim(1);
  expect(await campaigns.change(systemPrincipal, id, 'cancel')).toBe('changed');
  expect(await campaigns.finish()).toEqual([]);
  await complete([running!]);
  expect(await campaigns.finish()).toEqual([{ id, state: 'cancelled', done: 1, failed: 0, space: null }]);
  expect(await campaigns.change(systemPrincipal, id, 'resume')).toBe('finished');
  expect(await find(id)).toMatchObject({ state: 'cancelled', total: 3, done: 1, skipped: 0 });
  const { items } = await audit.list(unrestrictedPrincipal, { target: String(id) }, { limit: 10, offset: 0 });
  // Earlier tests have left entries, because the audit log cannot be emptied.
  expect(items.slice(0, 2).map(({ action }) => action)).toEqual(['campaign.cancel', 'campaign.create']);
});

test('keeps the jobs of a campaign until it has ended', async () => {
  await recordImages(1);
  const id = await create({ images: 1 });
  await fill(id);
  await complete(await claim());
  await database.runScript("UPDATE jobs SET finished_at = now() - interval '90 days'");
  const countJobs = async () =>
    (await selectRows(database, 'SELECT id FROM jobs WHERE campaign_id IS NOT NULL')).length;
  await expiredRows.removeJobs('completed', 30);
  expect(await countJobs()).toBe(1);
  await fill(id);
  await campaigns.finish();
  await expiredRows.removeJobs('completed', 30);
  expect(await countJobs()).toBe(0);
  expect(await find(id)).toMatchObject({ done: 1, total: 1 });
});

test('shows a principal of a tenant only the campaigns of this tenant', async () => {
  const shop = { ...unrestrictedPrincipal, tenantId, tenantName: 'shop' };
  const ofAll = await create();
  const ofShop = await create({ tenantId });
  expect((await campaigns.list(shop, { limit: 10, offset: 0 })).items.map(({ id }) => id)).toEqual([ofShop]);
  expect(await campaigns.find(shop, ofAll)).toBeUndefined();
  expect(await campaigns.change(shop, ofAll, 'cancel')).toBe('not-found');
  expect(await campaigns.list(unrestrictedPrincipal, { limit: 1, offset: 0 })).toMatchObject({
    total: 2,
    items: [{ id: ofShop, tenant: 'shop' }],
    next: ofShop,
  });
});
