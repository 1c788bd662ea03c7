import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { makePurposeQueue, type Purpose, type PurposeKey } from '../../../src/imaging/pool/purpose-queue.ts';

const always = () => true;
const intake: PurposeKey = { priority: 10, tenant: 1, purpose: 'intake' };
const delivery: PurposeKey = { priority: 10, tenant: 1, purpose: 'delivery' };

/** Simulates workers that each finish their item in turn, and returns the purposes in the order in which they ran. */
function simulate(queue: ReturnType<typeof makePurposeQueue<PurposeKey>>, workerCount: number): Purpose[] {
  const running: PurposeKey[] = [];
  const order: Purpose[] = [];
  for (;;) {
    if (running.length === workerCount) running.shift();
    const item = queue.next(always, (purpose) => running.filter((key) => key.purpose === purpose).length);
    if (item === undefined) return order;
    running.push(item);
    order.push(item.purpose);
  }
}

function fill(intakeCount: number, deliveryCount: number) {
  const queue = makePurposeQueue<PurposeKey>();
  for (let n = 0; n < intakeCount; n++) queue.add({ ...intake });
  for (let n = 0; n < deliveryCount; n++) queue.add({ ...delivery });
  return queue;
}

test('takes turns with one worker', () => {
  expect(simulate(fill(3, 2), 1)).toEqual(['intake', 'delivery', 'intake', 'delivery', 'intake']);
});

test.each([1, 2, 3, 4, 7])('gives each purpose half of %i workers while both wait', (workerCount) => {
  const order = simulate(fill(100, 100), workerCount);
  for (let count = workerCount; count <= 150; count++) {
    const busy = order.slice(count - workerCount, count);
    const deliveryCount = busy.filter((purpose) => purpose === 'delivery').length;
    expect(Math.abs(deliveryCount - workerCount / 2)).toBeLessThan(1);
  }
});

test('gives all workers to one purpose while the other has nothing to do', () => {
  expect(simulate(fill(5, 0), 2)).toEqual(Array(5).fill('intake'));
  expect(simulate(fill(0, 5), 2)).toEqual(Array(5).fill('delivery'));
});

test('runs the first item of a late purpose as soon as a worker is free', () => {
  const queue = fill(10, 0);
  const allBusy = (purpose: Purpose) => (purpose === 'intake' ? 2 : 0);
  queue.next(always, () => 0);
  queue.next(always, () => 0);
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
