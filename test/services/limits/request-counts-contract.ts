import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { RequestCounts } from '../../../src/model/request-counts.ts';

/**
 * Tests that all counts of requests must pass.
 * @param open returns counts that share their totals with those of other calls in the same test
 */
export function describeRequestCounts(open: () => RequestCounts | Promise<RequestCounts>): void {
  const window = Math.floor(Date.now() / 60_000);
  /** Returns a name that no other test uses. */
  const uniqueBucket = () => `address ${randomUUID()}`;

  test('add up the requests of all processes, and return the totals in the order of the additions', async () => {
    const [one, other] = [await open(), await open()];
    const [shop, mall] = [uniqueBucket(), uniqueBucket()];
    await one.add([
      { bucket: shop, window, requests: 3 },
      { bucket: mall, window, requests: 50 },
    ]);
    const { totals } = await other.add([
      { bucket: mall, window, requests: 7 },
      { bucket: shop, window, requests: 1 },
    ]);
    expect(totals).toEqual([57, 4]);
  });

  test('withdraw requests', async () => {
    const counts = await open();
    const bucket = uniqueBucket();
    await counts.add([{ bucket, window, requests: 5 }]);
    expect((await counts.add([{ bucket, window, requests: -2 }])).totals).toEqual([3]);
  });

  test('keep windows apart', async () => {
    const counts = await open();
    const bucket = uniqueBucket();
    await counts.add([{ bucket, window, requests: 5 }]);
    expect((await counts.add([{ bucket, window: window + 1, requests: 1 }])).totals).toEqual([1]);
  });

  test('accept any text as the name of a bucket', async () => {
    const counts = await open();
    const bucket = `key ${randomUUID()} "quoted" \\ ünïcode\n'; DROP TABLE request_counts`;
    await counts.add([{ bucket, window, requests: 2 }]);
    expect((await counts.add([{ bucket, window, requests: 2 }])).totals).toEqual([4]);
  });

  test('read the clock, even if there is nothing to add', async () => {
    const { now, totals } = await (await open()).add([]);
    expect(Math.abs(now - Date.now())).toBeLessThan(30_000);
    expect(totals).toEqual([]);
  });

  test('lose nothing if many processes add to the same buckets in different orders', async () => {
    const processes = await Promise.all(Array.from({ length: 4 }, async () => open()));
    const buckets = Array.from({ length: 20 }, uniqueBucket);
    const additions = processes.flatMap((counts, index) =>
      Array.from({ length: 10 }, () => {
        const rotated = [...buckets.slice(5 * index), ...buckets.slice(0, 5 * index)];
        return counts.add(rotated.map((bucket) => ({ bucket, window, requests: 1 })));
      }),
    );
    await Promise.all(additions);
    const { totals } = await processes[0]!.add(buckets.map((bucket) => ({ bucket, window, requests: 0 })));
    expect(new Set(totals)).toEqual(new Set([40]));
  });
}

/** Tests of counts that keep old windows until they are told to remove them. */
export function describeRemoval(open: () => RequestCounts | Promise<RequestCounts>): void {
  test('are removed together with their window', async () => {
    const counts = await open();
    const bucket = `key ${randomUUID()}`;
    for (const window of [100, 101, 102]) await counts.add([{ bucket, window, requests: 9 }]);
    await Promise.all([counts.removeBefore(102), counts.removeBefore(102)]);
    const totals: (number | undefined)[] = [];
    for (const window of [100, 101, 102])
      totals.push((await counts.add([{ bucket, window, requests: 1 }])).totals[0]);
    expect(totals).toEqual([1, 1, 10]);
  });
}
