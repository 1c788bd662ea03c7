import { expect, test } from 'vitest';
import { makeDeletionQueries } from '../../src/db/deletion.ts';
import { makeIntakeQueries } from '../../src/db/intake.ts';
import { makeJobQueries } from '../../src/db/jobs.ts';
import { makeSweepQueries } from '../../src/db/sweeping.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import type { ClaimedJob } from '../../src/model/job.ts';
import { openPrincipal } from '../../src/model/principal.ts';
import { rowOf, useDatabase } from '../support/inner/database.ts';
import { hashOf, uploadOf } from '../support/inner/records.ts';

const database = await useDatabase();
const intake = makeIntakeQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');

async function recordHeld(content: string): Promise<ClaimedJob> {
  const recorded = await intake.record(uploadOf(shop.id, content, { leaseSeconds: 60 }));
  if (recorded.outcome === 'known') throw new Error('It was known.');
  return recorded.job;
}

/** Withdraws, and tells whether the original was removed. */
async function withdraw(job: ClaimedJob, content: string) {
  let removed = 0;
  const withdrawn = await intake.withdraw(job, {
    contentHash: hashOf(content),
    removeOriginal: () => Promise.resolve(void removed++),
  });
  return { withdrawn, removed };
}

const counts = () =>
  rowOf<{ images: number; jobs: number }>(
    database,
    'SELECT (SELECT count(*) FROM images) AS images, (SELECT count(*) FROM jobs) AS jobs',
  );

test('a withdrawn upload leaves no image, no job and no original', async () => {
  const job = await recordHeld('broken');
  expect(await withdraw(job, 'broken')).toEqual({ withdrawn: true, removed: 1 });
  expect(await counts()).toEqual({ images: 0, jobs: 0 });
});

test('the original stays while a deleted image has the same content', async () => {
  const before = await recordHeld('kept');
  await makeDeletionQueries(database).hide(openPrincipal, { id: before.imageId }, false);
  const job = await recordHeld('kept');
  expect(await withdraw(job, 'kept')).toEqual({ withdrawn: true, removed: 0 });
  expect(await counts()).toEqual({ images: 1, jobs: 1 });
});

test('the same content of another tenant does not keep the original', async () => {
  const other = await makeTenantQueries(database).ensure('other');
  await intake.record(uploadOf(other.id, 'both'));
  expect(await withdraw(await recordHeld('both'), 'both')).toEqual({ withdrawn: true, removed: 1 });
});

test('a holder whose lease was taken over withdraws nothing', async () => {
  const job = await recordHeld('taken');
  await makeSweepQueries(database).takeOverLostLeases(10, true);
  expect(await withdraw(job, 'taken')).toEqual({ withdrawn: false, removed: 0 });
  const [claimed] = await makeJobQueries(database).claimDue('derive', 1, 60);
  expect(claimed?.id).toBe(job.id);
  expect(await withdraw(job, 'taken')).toEqual({ withdrawn: false, removed: 0 });
  expect(await counts()).toEqual({ images: 1, jobs: 1 });
});

test('when the original cannot be removed, the image stays', async () => {
  const job = await recordHeld('stuck');
  const failing = intake.withdraw(job, {
    contentHash: hashOf('stuck'),
    removeOriginal: () => Promise.reject(new Error('The disk is away.')),
  });
  await expect(failing).rejects.toThrow('The disk is away.');
  expect(await counts()).toEqual({ images: 1, jobs: 1 });
});

test('a record of the same content that comes during a withdrawal waits and is new', async () => {
  const job = await recordHeld('race');
  const order: string[] = [];
  const removing = Promise.withResolvers<void>();
  const withdrawing = intake.withdraw(job, {
    contentHash: hashOf('race'),
    removeOriginal: async () => {
      order.push('removing');
      removing.resolve();
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push('removed');
    },
  });
  await removing.promise;
  const recording = intake.record(uploadOf(shop.id, 'race')).then((recorded) => {
    order.push('recorded');
    return recorded;
  });
  await withdrawing;
  const recorded = await recording;
  expect(recorded.outcome).toBe('new');
  expect(recorded.imageId).not.toBe(job.imageId);
  expect(order).toEqual(['removing', 'removed', 'recorded']);
});
