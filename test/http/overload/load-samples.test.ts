import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { TenantQueueDepth } from '../../../src/db/jobs/job-reports.ts';
import { makeLoadSamples } from '../../../src/http/overload/load-samples.ts';

/** Creates samples whose clock and sources a test controls. */
function makeSamples() {
  const state = { time: 0, free: 1_000, isDown: false, reads: 0, depths: [] as TenantQueueDepth[] };
  const samples = makeLoadSamples({
    reports: {
      readTenantQueueDepths: () => {
        state.reads += 1;
        return state.isDown ? Promise.reject(new Error('down')) : Promise.resolve(state.depths);
      },
    },
    storage: { freeBytes: () => Promise.resolve(state.free) },
    now: () => state.time,
  });
  return { state, samples };
}

test('measures in the background, at most once a second', async () => {
  const { state, samples } = makeSamples();
  expect(samples.freeBytes()).toBeUndefined();
  await sleep(0);
  expect(samples.freeBytes()).toBe(1_000);
  state.depths = [{ kind: 'derive', pending: 3, tenantId: 1, oldestPendingSeconds: 5 }];
  for (let read = 0; read < 100; read += 1) samples.queueDepths('derive');
  await sleep(0);
  expect(samples.queueDepths('derive')).toMatchObject([{ pending: 3 }]);
  expect(samples.queueDepths('import')).toEqual([]);
  expect(state.reads).toBe(1);
  state.depths = [];
  state.time = 1_001;
  expect(samples.queueDepths('derive')).toMatchObject([{ pending: 3 }]);
  await sleep(0);
  expect(samples.queueDepths('derive')).toEqual([]);
});

test('forgets values that are too old or cannot be measured', async () => {
  const { state, samples } = makeSamples();
  samples.freeBytes();
  await sleep(0);
  state.time = 20_000;
  expect(samples.freeBytes()).toBeUndefined();
  state.depths = [{ kind: 'import', pending: 1, tenantId: 1, oldestPendingSeconds: 1 }];
  samples.queueDepths('import');
  await sleep(0);
  state.isDown = true;
  state.time += 1_001;
  samples.queueDepths('import');
  await sleep(0);
  expect(samples.queueDepths('import')).toEqual([]);
});
