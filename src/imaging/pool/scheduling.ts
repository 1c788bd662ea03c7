/** Identifies a tenant to the scheduler. Requests without a tenant share the key `undefined`. */
export type TenantKey = number | undefined;

/** Determines when a request runs. Lower priority values run first. Within a priority, tenants take turns. */
export interface SchedulingKey {
  readonly priority: number;
  readonly tenant: TenantKey;
}

/** Requests that are waiting for a decoder worker. */
export interface FairQueue<Item extends SchedulingKey> {
  readonly length: number;
  add(item: Item): void;
  /** Removes and returns the first item for whose tenant `mayRun` returns true; `undefined` if there is none. */
  next(mayRun: (tenant: TenantKey) => boolean): Item | undefined;
  /** Removes an item. Returns whether the queue contained it. */
  remove(item: Item): boolean;
  /** Removes and returns all items. */
  clear(): Item[];
}

interface QueueEntry<Item> {
  readonly item: Item;
  readonly startTag: number;
}

/**
 * Creates a queue with start-time fair queueing (P. Goyal, H. Vin, H. Cheng, 1996). Within a priority, items are sorted
 * by start tag. A new item's tag is one more than the tag of its tenant's last item, and at least the tag of the first
 * item in the queue. The `turn` column of the jobs table follows the same rule. This queue needs the rule
 * as well, because a claimed job, a probe or a search would otherwise wait for all earlier requests from other tenants.
 */
export function makeFairQueue<Item extends SchedulingKey>(): FairQueue<Item> {
  const entries: QueueEntry<Item>[] = [];

  function nextStartTag({ priority, tenant }: SchedulingKey): number {
    const hasSamePriority = ({ item }: QueueEntry<Item>) => item.priority === priority;
    const firstTag = entries.find(hasSamePriority)?.startTag ?? 1;
    const lastTenantTag =
      entries.findLast((entry) => hasSamePriority(entry) && entry.item.tenant === tenant)?.startTag ?? 0;
    return Math.max(lastTenantTag + 1, firstTag);
  }

  function removeAt(index: number): Item | undefined {
    return index < 0 ? undefined : entries.splice(index, 1)[0]?.item;
  }

  return {
    get length() {
      return entries.length;
    },
    add(item) {
      const startTag = nextStartTag(item);
      const previousIndex = entries.findLastIndex(
        (entry) =>
          entry.item.priority < item.priority ||
          (entry.item.priority === item.priority && entry.startTag <= startTag),
      );
      entries.splice(previousIndex + 1, 0, { item, startTag });
    },
    next: (mayRun) => removeAt(entries.findIndex(({ item }) => mayRun(item.tenant))),
    remove: (item) => removeAt(entries.findIndex((entry) => entry.item === item)) !== undefined,
    clear: () => entries.splice(0).map(({ item }) => item),
  };
}

/**
 * Tenants that are limited to one worker per group, because one of their recent files exceeded the time or memory
 * limit or crashed a child.
 */
export interface ThrottledTenants {
  /** Records that one of this tenant's files exceeded the time or memory limit or crashed a child. */
  throttle(tenant: TenantKey): void;
  isThrottled(tenant: TenantKey): boolean;
}

/**
 * How long a tenant stays throttled. A job fails after two attempts to decode a harmful file. The period is long enough
 * to cover both attempts for each harmful file in a batch, but short enough that a tenant with a single harmful file
 * soon returns to full speed.
 */
const throttleMs = 60_000;

/**
 * Tracks throttled tenants in memory. They are not shared between processes, because each process protects only its own
 * children.
 * @param now a monotonic clock, in milliseconds.
 */
export function makeThrottledTenants(now: () => number = () => performance.now()): ThrottledTenants {
  const throttleEndTimes = new Map<TenantKey, number>();
  return {
    throttle(tenant) {
      // Removing expired entries here limits the map to the tenants throttled within the last minute.
      for (const [otherTenant, endTime] of throttleEndTimes)
        if (endTime <= now()) throttleEndTimes.delete(otherTenant);
      throttleEndTimes.set(tenant, now() + throttleMs);
    },
    isThrottled: (tenant) => (throttleEndTimes.get(tenant) ?? 0) > now(),
  };
}
