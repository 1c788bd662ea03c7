import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { makePurposeQueue, type Purpose, type PurposeKey } from '../../../src/imaging/pool/purpose-queue.ts';

const always = () => true;
const intake: PurposeKey = { priority: 10, tenant: 1, purpose: 'intake' };
const delivery: PurposeKey = { priority: 10, tenant: 1, purpose: 'delivery' };

/** Simulates workers whose tasks take a time that depends on the purpose, and returns the time that each purpose got. */
function simulate(
  queue: ReturnType<typeof makePurposeQueue<PurposeKey>>,
  clock: { time: number },
  workerCount: number,
  durations: Readonly<Record<Purpose, number>>,
) {
  const running: { readonly purpose: Purpose; readonly end: number }[] = [];
  const usedMs = { intake: 0, delivery: 0 };
  const count = (purpose: Purpose) => running.filter((task) => task.purpose === purpose).length;
  while (clock.time < 20_000) {
    const item = running.length < workerCount ? queue.next(always, count) : undefined;
    if (item) {
      const end = clock.time + durations[item.purpose];
      running.push({ purpose: item.purpose, end });
      usedMs[item.purpose] += durations[item.purpose];
      queue.add({ ...item });
    } else {
      running.sort((a, b) => a.end - b.end);
      clock.time = running.shift()?.end ?? Number.POSITIVE_INFINITY;
    }
  }
  return usedMs;
}

function fill(intakeCount: number, deliveryCount: number, clock = { time: 0 }) {
  const queue = makePurposeQueue<PurposeKey>(() => clock.time);
  for (let n = 0; n < intakeCount; n++) queue.add({ ...intake });
  for (let n = 0; n < deliveryCount; n++) queue.add({ ...delivery });
  return queue;
}

test.each([1, 2, 3, 4, 7])(
  'gives intake three quarters of the time of %i workers while both wait',
  (workerCount) => {
    for (const durations of [
      { intake: 45, delivery: 22 },
      { intake: 45, delivery: 400 },
      { intake: 400, delivery: 20 },
    ]) {
      const clock = { time: 0 };
      const usedMs = simulate(fill(20, 20, clock), clock, workerCount, durations);
      expect(usedMs.intake / (usedMs.intake + usedMs.delivery)).toBeCloseTo(0.75, 1);
    }
  },
);

test('does not let a purpose save up the time of a pause', () => {
  const clock = { time: 0 };
  const queue = fill(0, 5_000, clock);
  const durations = { intake: 20, delivery: 20 };
  const run = () => {
    const item = queue.next(always, () => 0);
    clock.time += item ? durations[item.purpose] : 0;
    return item?.purpose;
  };
  for (let n = 0; n < 1_000; n++) run();
  for (let n = 0; n < 1_000; n++) queue.add({ ...intake });
  const firstDelivery = Array.from({ length: 300 }, run).indexOf('delivery');
  // It makes up for two seconds at most.
  expect(firstDelivery).toBeGreaterThan(0);
  expect(firstDelivery * durations.intake).toBeLessThan(3_000);
});

test('gives all workers to one purpose while the other has nothing to do', () => {
  const drain = (queue: ReturnType<typeof fill>) =>
    Array.from({ length: 5 }, () => queue.next(always, () => 0)?.purpose);
  expect(drain(fill(5, 0))).toEqual(Array(5).fill('intake'));
  expect(drain(fill(0, 5))).toEqual(Array(5).fill('delivery'));
});

test('runs the first item of a late purpose as soon as a worker is free', () => {
  const clock = { time: 0 };
  const queue = fill(10, 0, clock);
  const allBusy = (purpose: Purpose) => (purpose === 'intake' ? 2 : 0);
  queue.next(always, () => 0);
  queue.next(always, () => 0);
  clock.time += 1;
  queue.add({ ...delivery });
  expect(queue.next(always, allBusy)).toMatchObject({ purpose: 'delivery' });
});

test('keeps the order of priorities within a purpose, and runs the other purpose if a tenant may not run', () => {
  const queue = makePurposeQueue<PurposeKey>();
  queue.add({ ...intake, priority: 50 });
  queue.add({ ...intake, priority: 10 });
  queue.add({ ...delivery, tenant: 2, priority: 100 });
  expect(
    queue.next(
      (tenant) => tenant === 2,
      () => 0,
    ),
  ).toMatchObject({ purpose: 'delivery' });
  expect(queue.next(always, () => 0)).toMatchObject({ priority: 10 });
});

test('returns every item once, and forgets removed items', () => {
  const key = fc.record({
    priority: fc.nat(2),
    tenant: fc.nat(2),
    purpose: fc.constantFrom<Purpose>('intake', 'delivery'),
  });
  fc.assert(
    fc.property(fc.array(key), fc.nat(4), (keys, removedIndex) => {
      const queue = makePurposeQueue<PurposeKey>();
      keys.forEach((item) => queue.add(item));
      const removed = keys[removedIndex];
      if (removed) expect(queue.remove(removed)).toBe(true);
      const rest = new Set(keys.filter((item) => item !== removed));
      expect(queue.length).toBe(rest.size);
      const returned = Array.from({ length: rest.size }, () => queue.next(always, () => 0));
      expect(new Set(returned)).toEqual(rest);
      expect(queue.next(always, () => 0)).toBeUndefined();
    }),
  );
});
