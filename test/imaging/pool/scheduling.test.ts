import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeWaitingLine, type Standing } from '../../../src/imaging/pool/scheduling.ts';

const anyone = () => true;

function drain<Item extends Standing>(line: ReturnType<typeof makeWaitingLine<Item>>): Item[] {
  return Array.from({ length: line.length }, () => line.next(anyone)!);
}

test('tenants take turns among requests of one priority', () => {
  const line = makeWaitingLine<Standing & { name: string }>();
  for (const name of ['a1', 'a2', 'a3', 'a4']) line.add({ name, priority: 10, tenant: 1 });
  line.add({ name: 'b1', priority: 10, tenant: 2 });
  line.add({ name: 'b2', priority: 10, tenant: 2 });
  line.add({ name: 'urgent', priority: 5, tenant: 1 });
  line.add({ name: 'none', priority: 10, tenant: undefined });
  expect(drain(line).map(({ name }) => name)).toEqual(['urgent', 'a1', 'b1', 'none', 'a2', 'b2', 'a3', 'a4']);
});

test('a tenant that comes late does not overtake those that have waited', () => {
  const line = makeWaitingLine<Standing & { name: string }>();
  for (let count = 0; count < 50; count++) {
    line.add({ name: `a${count}`, priority: 10, tenant: 1 });
    if (count > 2) line.next(anyone);
  }
  line.add({ name: 'b', priority: 10, tenant: 2 });
  expect(drain(line).map(({ name }) => name)).toEqual(['a47', 'b', 'a48', 'a49']);
});

test('a tenant that may not run is passed over and keeps its place', () => {
  const line = makeWaitingLine<Standing>();
  const [first, second] = [
    { priority: 10, tenant: 1 },
    { priority: 10, tenant: 2 },
  ];
  line.add(first);
  line.add(second);
  expect(line.next((tenant) => tenant !== 1)).toBe(second);
  expect(line.next((tenant) => tenant !== 1)).toBeUndefined();
  expect(line.next(anyone)).toBe(first);
});

test('every item comes out once, by priority, and in order within a tenant', () => {
  const standings = fc.array(fc.record({ priority: fc.integer({ min: 0, max: 2 }), tenant: fc.nat(3) }));
  fc.assert(
    fc.property(standings, (items) => {
      const line = makeWaitingLine<Standing>();
      items.forEach((item) => line.add(item));
      const out = drain(line);
      expect(new Set(out)).toEqual(new Set(items));
      expect(out.map(({ priority }) => priority)).toEqual(
        items.map(({ priority }) => priority).toSorted((a, b) => a - b),
      );
      for (const { priority, tenant } of items) {
        const same = (item: Standing) => item.priority === priority && item.tenant === tenant;
        expect(out.filter(same)).toEqual(items.filter(same));
      }
    }),
  );
});
