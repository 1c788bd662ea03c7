/** Identifies a tenant to the scheduler. Requests without a tenant share the key `undefined`. */
export type TenantKey = number | undefined;

/** Determines when a request runs: the lowest priority value first; within a priority, fairly between tenants. */
export interface SchedulingKey {
  readonly priority: number;
  readonly tenant: TenantKey;
}

/** Requests that are waiting for a decoder worker. */
export interface FairQueue<Item extends SchedulingKey> {
  readonly length: number;
  add(item: Item): void;
  /** Removes and returns the first item whose tenant passes `mayRun`; `undefined` if there is none. */
  next(mayRun: (tenant: TenantKey) => boolean): Item | undefined;
  /** Removes an item. Returns whether the queue contained it. */
  remove(item: Item): boolean;
  /** Removes and returns all items. */
  clear(): Item[];
}

interface Entry<Item> {
  readonly item: Item;
  readonly startTag: number;
}

/**
 * Creates a queue with start-time fair queueing (P. Goyal, H. Vin, H. Cheng, 1996). Within a priority, items are sorted
 * by start tag. The tag of a new item is one more than that of its tenant's last item, but at least that of the first
 * item in the queue. The `turn` of the jobs table follows the same rule; without it here, a claimed job, a probe or a
 * search would wait behind everything that one tenant has sent before.
 */
export function makeFairQueue<Item extends SchedulingKey>(): FairQueue<Item> {
  const entries: Entry<Item>[] = [];

  function startTagOf({ priority, tenant }: SchedulingKey): number {
    const hasSamePriority = ({ item }: Entry<Item>) => item.priority === priority;
    const first = entries.find(hasSamePriority)?.startTag ?? 1;
    const own =
      entries.findLast((entry) => hasSamePriority(entry) && entry.item.tenant === tenant)?.startTag ?? 0;
    return Math.max(own + 1, first);
  }

  function take(index: number): Item | undefined {
    return index < 0 ? undefined : entries.splice(index, 1)[0]?.item;
  }

  return {
    get length() {
      return entries.length;
    },
    add(item) {
      const startTag = startTagOf(item);
      const before = entries.findLastIndex(
        (entry) =>
          entry.item.priority < item.priority ||
          (entry.item.priority === item.priority && entry.startTag <= startTag),
      );
      entries.splice(before + 1, 0, { item, startTag });
    },
    next: (mayRun) => take(entries.findIndex(({ item }) => mayRun(item.tenant))),
    remove: (item) => take(entries.findIndex((entry) => entry.item === item)) !== undefined,
    clear: () => entries.splice(0).map(({ item }) => item),
  };
}

/** Tenants that are limited to one worker per group, because one of their recent files killed a child. */
export interface ThrottledTenants {
  /** Records that a file of this tenant exceeded a limit or crashed a child. */
  throttle(tenant: TenantKey): void;
  isThrottled(tenant: TenantKey): boolean;
}

/**
 * How long a tenant is throttled: long enough for both attempts of every such file in a batch, and short enough that a
 * tenant with one broken file soon returns to full speed.
 */
const throttleMs = 60_000;

/** Kept in memory: each process protects its own children. @param now a monotonic clock, in milliseconds. */
export function makeThrottledTenants(now: () => number = () => performance.now()): ThrottledTenants {
  const throttledUntil = new Map<TenantKey, number>();
  return {
    throttle(tenant) {
      // Removing expired entries here bounds the map by the number of tenants throttled within a minute.
      for (const [other, end] of throttledUntil) if (end <= now()) throttledUntil.delete(other);
      throttledUntil.set(tenant, now() + throttleMs);
    },
    isThrottled: (tenant) => (throttledUntil.get(tenant) ?? 0) > now(),
  };
}
