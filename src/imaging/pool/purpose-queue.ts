import { type FairQueue, makeFairQueue, type SchedulingKey, type TenantKey } from './scheduling.ts';

/** What a request is for: taking pictures in, or delivering renditions to readers who wait for them. */
export const purposes = ['intake', 'delivery'] as const;

/** @see purposes */
export type Purpose = (typeof purposes)[number];

/** A scheduling key with a purpose. */
export interface PurposeKey extends SchedulingKey {
  readonly purpose: Purpose;
}

/** Requests of all purposes that are waiting for a decoder worker. */
export interface PurposeQueue<Item extends PurposeKey> extends Omit<FairQueue<Item>, 'next'> {
  /**
   * Removes and returns the next item for whose tenant `mayRun` returns true; `undefined` if there is none.
   * @param countRunning returns how many workers are busy with items of a purpose
   */
  next(mayRun: (tenant: TenantKey) => boolean, countRunning: (purpose: Purpose) => number): Item | undefined;
}

/**
 * Shares of the workers' time while items of both purposes are waiting. With equal shares, the 95th percentile of uploads would
 * double during a burst of requests for new renditions (`npm run bench:burst`), because the rest of their work takes longer, too.
 */
const shares: Readonly<Record<Purpose, number>> = { intake: 0.75, delivery: 0.25 };

/** How long the time that a purpose has used counts: it decays exponentially with this time constant. */
const memoryMs = 2_000;

/**
 * Creates a queue that shares the workers' time between the purposes. While items of both are waiting, the purpose that has
 * recently used less of its share is next, so a burst of one never stops the other. Within a purpose, `makeFairQueue` determines
 * the order.
 * @param now a monotonic clock, in milliseconds
 */
export function makePurposeQueue<Item extends PurposeKey>(
  now: () => number = () => performance.now(),
): PurposeQueue<Item> {
  const queues = { intake: makeFairQueue<Item>(), delivery: makeFairQueue<Item>() };
  const usedMs = { intake: 0, delivery: 0 };
  let running = { intake: 0, delivery: 0 };
  let countedAt = now();

  /** Adds the time since the last call, in which the same workers were busy. */
  function countTime(): void {
    const time = now();
    const elapsedMs = time - countedAt;
    for (const purpose of purposes)
      usedMs[purpose] = usedMs[purpose] * Math.exp(-elapsedMs / memoryMs) + running[purpose] * elapsedMs;
    countedAt = time;
  }

  return {
    get length() {
      return queues.intake.length + queues.delivery.length;
    },
    add: (item) => queues[item.purpose].add(item),
    next(mayRun, countRunning) {
      countTime();
      running = { intake: countRunning('intake'), delivery: countRunning('delivery') };
      const usedShare = (purpose: Purpose) => usedMs[purpose] / shares[purpose];
      for (const purpose of purposes.toSorted((a, b) => usedShare(a) - usedShare(b))) {
        const item = queues[purpose].next(mayRun);
        if (item === undefined) continue;
        running[purpose]++;
        return item;
      }
      return undefined;
    },
    remove: (item) => queues[item.purpose].remove(item),
    clear: () => purposes.flatMap((purpose) => queues[purpose].clear()),
  };
}
