import type { RequestCounts } from '../../model/request-counts.ts';

/**
 * Counts in the memory of this process, for an installation with a single process. Limiters of the same process can share
 * them.
 */
export function makeMemoryCounts(now: () => number = Date.now): RequestCounts {
  /** Requests by window, then by bucket. */
  const windows = new Map<number, Map<string, number>>();

  function addToBucket(bucket: string, window: number, requests: number): number {
    const buckets = windows.get(window) ?? new Map<string, number>();
    windows.set(window, buckets);
    const total = (buckets.get(bucket) ?? 0) + requests;
    buckets.set(bucket, total);
    return total;
  }

  return {
    add(added) {
      const totals = added.map(({ bucket, window, requests }) => addToBucket(bucket, window, requests));
      return Promise.resolve({ now: now(), totals });
    },
    removeBefore(window) {
      for (const older of windows.keys()) if (older < window) windows.delete(older);
      return Promise.resolve();
    },
    close: () => windows.clear(),
  };
}
