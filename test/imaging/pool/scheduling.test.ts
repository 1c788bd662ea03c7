import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeFairQueue, type SchedulingKey } from '../../../src/imaging/pool/scheduling.ts';

const always = () => true;

/** Removes all items from a queue and returns them in order. */
function drain<Item extends SchedulingKey>(queue: ReturnType<typeof makeFairQueue<Item>>): Item[] {
  return Array.from({ length: queue.length }, () => queue.next(always)!);
}

test('alternates between tenants if their requests have the same priority', () => {
  const queue = makeFairQueue<SchedulingKey & { name: string }>();
  for (const name of ['a1', 'a2', 'a3', 'a4']) queue.add({ name, priority: 10, tenant: 1 });
  queue.add({ name: 'b1', priority: 10, tenant: 2 });
  queue.add({ name: 'b2', priority: 10, tenant: 2 });
  queue.add({ name: 'urgent', priority: 5, tenant: 1 });
  queue.add({ name: 'none', priority: 10, tenant: undefined });
  expect(drain(queue).map(({ name }) => name)).toEqual([
    'urgent',
    'a1',
    'b1',
    'none',
    'a2',
    'b2',
    'a3',
    'a4',
  ]);
});

test('does not let a new tenant overtake requests that have waited longer', () => {
  const queue = makeFairQueue<SchedulingKey & { name: string }>();
  for (let count = 0; count < 50; count++) {
    queue.add({ name: `a${count}`, priority: 10, tenant: 1 });
    if (count > 2) queue.next(always);
  }
  queue.add({ name: 'b', priority: 10, tenant: 2 });
  expect(drain(queue).map(({ name }) => name)).toEqual(['a47', 'b', 'a48', 'a49']);
});

test('skips a tenant that may not run, but keeps its position in the queue', () => {
  const queue = makeFairQueue<SchedulingKey>();
  const [firstItem, secondItem] = [
    { priority: 10, tenant: 1 },
    { priority: 10, tenant: 2 },
  ];
  queue.add(firstItem);
  queue.add(secondItem);
  expect(queue.next((tenant) => tenant !== 1)).toBe(secondItem);
  expect(queue.next((tenant) => tenant !== 1)).toBeUndefined();
  expect(queue.next(always)).toBe(firstItem);
});

test('returns every item once, in order of priority, and in insertion order for each tenant', () => {
  const keys = fc.array(fc.record({ priority: fc.integer({ min: 0, max: 2 }), tenant: fc.nat(3) }));
  fc.assert(
    fc.property(keys, (items) => {
      const queue = makeFairQueue<SchedulingKey>();
      items.forEach((item) => queue.add(item));
      const drainedItems = drain(queue);
      expect(new Set(drainedItems)).toEqual(new Set(items));
      expect(drainedItems.map(({ priority }) => priority)).toEqual(
        items.map(({ priority }) => priority).toSorted((a, b) => a - b),
      );
      for (const { priority, tenant } of items) {
        const matches = (item: SchedulingKey) => item.priority === priority && item.tenant === tenant;
        expect(drainedItems.filter(matches)).toEqual(items.filter(matches));
      }
    }),
  );
});
