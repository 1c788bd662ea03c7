import { LRUCache } from 'lru-cache';
import { makeAvailabilityLog } from '../../availability-log.ts';
import type { Logger } from '../../model/logger.ts';
import { type RequestCounts, windowSeconds } from '../../model/request-counts.ts';

/**
 * What is limited: the requests with a key, the requests without a valid key from an address, and the invalid keys that an
 * address sends.
 */
export const limitNames = ['key', 'address', 'invalid-keys'] as const;

/** @see limitNames */
export type LimitName = (typeof limitNames)[number];

/** How much of a limit a caller has used. */
export interface LimitUse {
  readonly name: LimitName;
  /** Maximum number of requests per minute. */
  readonly limit: number;
  readonly remaining: number;
  /** Whole seconds until the caller can use the whole limit again. */
  readonly resetSeconds: number;
  /** Whether this request exceeds the limit. It has not been counted then. */
  readonly isExceeded: boolean;
}

/**
 * Limits the requests of each caller per minute. Decides immediately from the requests that this process has counted and the
 * last known totals of the other processes.
 */
export interface RequestLimiter {
  /** Counts a request. Returns `undefined` if there is no limit. */
  take(name: LimitName, caller: string): LimitUse | undefined;
  /** Withdraws a request that has been counted in the current minute. */
  giveBack(name: LimitName, caller: string): void;
  /** Exchanges counts with the other processes. The limiter does this by itself once a second. */
  exchange(): Promise<void>;
  stop(): void;
}

interface Dependencies {
  readonly counts: RequestCounts;
  /** Maximum number of requests per minute, by limit; 0 means no limit. */
  readonly limits: Readonly<Record<LimitName, number>>;
  readonly logger: Logger;
  /** Time in milliseconds since 1970, on the clock of this machine. */
  readonly now?: () => number;
}

/** The requests of one caller in the current window. */
interface Bucket {
  /** Total of all processes after the last exchange. */
  shared: number;
  /** Requests that this process has counted since. */
  unsent: number;
}

const exchangeMs = 1_000;
const windowMs = windowSeconds * 1_000;

/**
 * The fraction of a limit that a process may count before it tells the others. Most callers use so little that they are
 * never written to the shared counts.
 */
const quietFraction = 0.01;

/** Number of callers that are counted for each limit. If there are more, the least recently active ones are forgotten. */
const maxCallers = 50_000;

/** @see RequestLimiter */
export function makeRequestLimiter({ counts, limits, logger, now = Date.now }: Dependencies): RequestLimiter {
  // Created when they are first needed, because a cache of this size takes 15 ms to create, and often none is needed.
  const buckets = new Map<LimitName, LRUCache<string, Bucket>>();
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: 'failed to share the counts of requests; until this succeeds, each process applies the limits on its own',
    restored: 'sharing the counts of requests again',
  });
  /** Difference between the clock of the shared counts and that of this machine. */
  let offsetMs = 0;
  let window = 0;
  let mustRemoveOld = true;
  let currentExchange: Promise<void> | undefined;

  /** Returns the shared time. Starts a new window when the previous one has ended. */
  function readClock(): number {
    const time = now() + offsetMs;
    const nextWindow = Math.floor(time / windowMs);
    // The clock may be corrected by a few milliseconds at the start of a window, which must not return to the previous one.
    if (nextWindow === window || nextWindow === window - 1) return Math.max(time, window * windowMs);
    window = nextWindow;
    mustRemoveOld = true;
    for (const callers of buckets.values()) callers.clear();
    return time;
  }

  function bucketOf(name: LimitName, caller: string): Bucket {
    const callers = buckets.get(name) ?? new LRUCache<string, Bucket>({ max: maxCallers });
    buckets.set(name, callers);
    const bucket = callers.get(caller) ?? { shared: 0, unsent: 0 };
    callers.set(caller, bucket);
    return bucket;
  }

  /** Returns the buckets whose counts the other processes must learn. */
  function listUnsent() {
    return limitNames.flatMap((name) => {
      const quietRequests = limits[name] * quietFraction;
      return Array.from(buckets.get(name)?.entries() ?? [])
        .filter(([, { unsent }]) => unsent !== 0 && Math.abs(unsent) >= quietRequests)
        .map(([caller, bucket]) => ({ bucket, sent: bucket.unsent, key: `${name} ${caller}` }));
    });
  }

  async function runExchange(): Promise<void> {
    readClock();
    const unsent = listUnsent();
    if (unsent.length === 0 && !mustRemoveOld) return;
    const sentAt = now();
    const reply = await counts.add(unsent.map(({ key, sent }) => ({ bucket: key, window, requests: sent })));
    offsetMs = reply.now - (sentAt + now()) / 2;
    unsent.forEach(({ bucket, sent }, index) => {
      bucket.shared = reply.totals[index] ?? bucket.shared + sent;
      bucket.unsent -= sent;
    });
    if (!mustRemoveOld) return;
    mustRemoveOld = false;
    // Another process may still be in the previous window.
    await counts.removeBefore(Math.floor(reply.now / windowMs) - 1);
  }

  function exchange(): Promise<void> {
    currentExchange ??= runExchange()
      .then(() => availability.reportSuccess(), availability.reportFailure)
      .finally(() => (currentExchange = undefined));
    return currentExchange;
  }

  const timer = setInterval(() => void exchange(), exchangeMs).unref();
  return {
    take(name, caller) {
      const limit = limits[name];
      if (limit === 0) return undefined;
      const time = readClock();
      const bucket = bucketOf(name, caller);
      const isExceeded = bucket.shared + bucket.unsent >= limit;
      if (!isExceeded) bucket.unsent += 1;
      return {
        name,
        limit,
        remaining: Math.max(0, limit - bucket.shared - bucket.unsent),
        resetSeconds: Math.max(1, Math.ceil(((window + 1) * windowMs - time) / 1_000)),
        isExceeded,
      };
    },
    giveBack(name, caller) {
      const bucket = buckets.get(name)?.get(caller);
      if (bucket && bucket.shared + bucket.unsent > 0) bucket.unsent -= 1;
    },
    exchange,
    stop() {
      clearInterval(timer);
      counts.close();
    },
  };
}
