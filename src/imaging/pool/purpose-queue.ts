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
 * Creates a queue that shares the workers between the purposes. While items of both are waiting, the purpose with fewer busy
 * workers is next, so each has at least half of the workers, and a burst of one never stops the other. If both have the same
 * number, they take turns. Within a purpose, `makeFairQueue` determines the order.
 */
export function makePurposeQueue<Item extends PurposeKey>(): PurposeQueue<Item> {
  const queues = { intake: makeFairQueue<Item>(), delivery: makeFairQueue<Item>() };
  let lastPurpose: Purpose = 'delivery';
  return {
    get length() {
      return queues.intake.length + queues.delivery.length;
    },
    add: (item) => queues[item.purpose].add(item),
    next(mayRun, countRunning) {
      const byTurn = lastPurpose === 'delivery' ? purposes : purposes.toReversed();
      for (const purpose of byTurn.toSorted((a, b) => countRunning(a) - countRunning(b))) {
        const item = queues[purpose].next(mayRun);
        if (item === undefined) continue;
        lastPurpose = purpose;
        return item;
      }
      return undefined;
    },
    remove: (item) => queues[item.purpose].remove(item),
    clear: () => purposes.flatMap((purpose) => queues[purpose].clear()),
  };
}
