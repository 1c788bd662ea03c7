import { makeExpireAuditLog } from '../../../src/services/audit/expire-audit-log.ts';
import { expect, onTestFinished, test } from 'vitest';
import { makeDerivedFileSweeps } from '../../../src/services/sweep/derived-files.ts';
import { makeExpiredRowSweeps } from '../../../src/services/sweep/expired-rows.ts';
import { makeTakeOverLostLeases } from '../../../src/services/leases.ts';
import { makeFindMissingOriginals } from '../../../src/services/sweep/stored-files.ts';
import { makeSweepOrphans } from '../../../src/services/sweep/stored-files.ts';
import { makeCorrectUsage } from '../../../src/services/sweep/usage-drift.ts';
import { makeVectorIndexSweeps } from '../../../src/services/sweep/vector-indexes.ts';
import { makeSweeper } from '../../../src/services/sweep/sweeper.ts';
import { claimOne } from '../../support/inner/jobs.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { makeRig, useTestResources } from '../../support/inner/rig.ts';
import { countWakes } from '../../support/inner/wakes.ts';

const resources = await useTestResources();
const retention = {
  completedJobDays: 7,
  failedJobDays: 30,
  importDays: 90,
  auditDays: 0,
  oldRenditionDays: 7,
  emptyTenantDays: 30,
};

test('wakes workers and logs a message only if there are lost leases to take over', async () => {
  const rig = await makeRig(resources);
  const wakes = countWakes(rig.queue);
  const takeOver = makeTakeOverLostLeases(rig);
  await takeOver(true);
  expect({ wakes: wakes.count, messages: rig.logger.messages() }).toEqual({ wakes: 0, messages: [] });
  await rig.upload(await makeUniquePicture(), { mode: 'queued' });
  await claimOne(resources.database);
  wakes.count = 0;
  await takeOver(true);
  expect(wakes.count).toBe(1);
  expect(rig.logger.messages()).toEqual(['requeued 1 job after a worker was lost']);
});

test('requeues the job of a crashed worker within seconds, and can be stopped immediately', async () => {
  const rig = await makeRig(resources);
  const sweeper = makeSweeper({
    ...rig,
    takeOverLostLeases: makeTakeOverLostLeases(rig),
    fillCampaigns: () => Promise.resolve(),
    startReindexing: () => Promise.resolve(),
    expiredRowSweeps: makeExpiredRowSweeps({ ...rig, retention }),
    sweepOrphans: makeSweepOrphans({ ...rig, sweepLimit: { fraction: 1, count: 9 } }),
    expireAuditLog: makeExpireAuditLog({ ...rig, keepDays: 0 }),
    correctUsage: makeCorrectUsage({ recounting: rig.recounting, logger: rig.logger }),
    derivedFileSweeps: makeDerivedFileSweeps({ ...rig, maxDerivedBytes: null, oldRenditionDays: 7 }),
    vectorIndexSweeps: makeVectorIndexSweeps({ ...rig, minImages: 20_000 }),
    findMissingOriginals: makeFindMissingOriginals({ ...rig, sweepLimit: { fraction: 1, count: 9 } }),
  });
  onTestFinished(() => sweeper.stop());
  const { jobId } = await rig.upload(await makeUniquePicture(), { mode: 'queued' });
  await claimOne(resources.database, 0.1);
  sweeper.start();
  await expect
    .poll(() => rig.report(jobId!), { interval: 200 })
    .toMatchObject({
      state: 'pending',
      leaseLosses: 1,
    });
  // The next pass would start after 5 s. The sweeper must stop without waiting for that pass.
  const startedAt = performance.now();
  await sweeper.stop();
  expect(performance.now() - startedAt).toBeLessThan(4_000);
});
