import { expect, test } from 'vitest';
import { makeDeletionQueries } from '../../../src/db/images/deletion.ts';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { selectRow, useDatabase } from '../../support/inner/database.ts';
import { sha256Hex, makeUpload } from '../../support/inner/records.ts';

const database = await useDatabase();
const jobs = makeJobQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');

/** Records an upload and claims its job. */
async function recordClaimedUpload(content: string): Promise<ClaimedJob> {
  const result = await jobs.enqueueUpload(makeUpload(shop.id, content, { leaseSeconds: 60 }));
  if (result.outcome === 'known') throw new Error('The content is known.');
  return result.job;
}

/** Withdraws an upload. Returns whether the upload was withdrawn and how often its original was removed. */
async function withdraw(job: ClaimedJob, content: string) {
  let removals = 0;
  const withdrawn = await jobs.withdraw(job, {
    contentHash: sha256Hex(content),
    removeOriginal: () => Promise.resolve(void removals++),
  });
  return { withdrawn, removals };
}

const countRows = () =>
  selectRow<{ images: number; jobs: number }>(
    database,
    'SELECT (SELECT count(*) FROM images) AS images, (SELECT count(*) FROM jobs) AS jobs',
  );

// An inline upload is withdrawn if its picture cannot be decoded.
test('removes the image, its job and its original', async () => {
  const job = await recordClaimedUpload('broken');
  expect(await withdraw(job, 'broken')).toEqual({ withdrawn: true, removals: 1 });
  expect(await countRows()).toEqual({ images: 0, jobs: 0 });
});

test('keeps the original while a deleted image has the same content', async () => {
  const deletedJob = await recordClaimedUpload('kept');
  await makeDeletionQueries(database).softDelete(unrestrictedPrincipal, { id: deletedJob.imageId }, false);
  const job = await recordClaimedUpload('kept');
  expect(await withdraw(job, 'kept')).toEqual({ withdrawn: true, removals: 0 });
  expect(await countRows()).toEqual({ images: 1, jobs: 1 });
});

test('removes the original regardless of other tenants’ images with the same content', async () => {
  const otherTenant = await makeTenantQueries(database).ensure('other');
  await jobs.enqueueUpload(makeUpload(otherTenant.id, 'both'));
  expect(await withdraw(await recordClaimedUpload('both'), 'both')).toEqual({ withdrawn: true, removals: 1 });
});

test('withdraws nothing after the lease has been taken over', async () => {
  const job = await recordClaimedUpload('taken');
  await makeJobQueries(database).takeOverLostLeases(10, true);
  expect(await withdraw(job, 'taken')).toEqual({ withdrawn: false, removals: 0 });
  const [claimedJob] = await makeJobQueries(database).claimDue('derive', 1, 60);
  expect(claimedJob?.id).toBe(job.id);
  expect(await withdraw(job, 'taken')).toEqual({ withdrawn: false, removals: 0 });
  expect(await countRows()).toEqual({ images: 1, jobs: 1 });
});

test('keeps the image if the original cannot be removed', async () => {
  const job = await recordClaimedUpload('stuck');
  const withdrawal = jobs.withdraw(job, {
    contentHash: sha256Hex('stuck'),
    removeOriginal: () => Promise.reject(new Error('The disk is unavailable.')),
  });
  await expect(withdrawal).rejects.toThrow('The disk is unavailable.');
  expect(await countRows()).toEqual({ images: 1, jobs: 1 });
});

test('creates a new image when the same content is uploaded during a withdrawal', async () => {
  const job = await recordClaimedUpload('race');
  const events: string[] = [];
  const removalStarted = Promise.withResolvers<void>();
  const withdrawal = jobs.withdraw(job, {
    contentHash: sha256Hex('race'),
    removeOriginal: async () => {
      events.push('removing');
      removalStarted.resolve();
      await new Promise((resolve) => setTimeout(resolve, 50));
      events.push('removed');
    },
  });
  await removalStarted.promise;
  const upload = jobs.enqueueUpload(makeUpload(shop.id, 'race')).then((result) => {
    events.push('recorded');
    return result;
  });
  await withdrawal;
  const result = await upload;
  expect(result.outcome).toBe('new');
  expect(result.imageId).not.toBe(job.imageId);
  expect(events).toEqual(['removing', 'removed', 'recorded']);
});
