/** Identifies a tenant in the queue for decoders; work without a tenant shares `undefined`. */
export type TenantKey = number | undefined;

/** Position of a request: lower priority first; within a priority, tenants take turns. */
export interface Standing {
  readonly priority: number;
  readonly tenant: TenantKey;
}

/** Requests that wait for a child. */
export interface WaitingLine<Item extends Standing> {
  readonly length: number;
  add(item: Item): void;
  /** Removes and returns the first item whose tenant passes `mayRun`; `undefined` if there is none. */
  next(mayRun: (tenant: TenantKey) => boolean): Item | undefined;
  /** Removes an item; returns whether it was there. */
  remove(item: Item): boolean;
  /** Removes and returns all items. */
  clear(): Item[];
}

interface Place<Item> {
  readonly item: Item;
  readonly turn: number;
}

/**
 * An empty queue. Each item gets a turn: one after the last of its own tenant, and not before the first in the queue
 * (start-time fair queueing: P. Goyal, H. Vin, H. Cheng, 1996), among items of one priority. The jobs table is ordered
 * by the same rule, but without it here a claimed job, a probe or a search would wait behind everything that one tenant
 * has sent before.
 */
export function makeWaitingLine<Item extends Standing>(): WaitingLine<Item> {
  const places: Place<Item>[] = [];

  function turnOf({ priority, tenant }: Standing): number {
    const isRival = ({ item }: Place<Item>) => item.priority === priority;
    const first = places.find(isRival)?.turn ?? 1;
    const own = places.findLast((place) => isRival(place) && place.item.tenant === tenant)?.turn ?? 0;
    return Math.max(own + 1, first);
  }

  function take(index: number): Item | undefined {
    return index < 0 ? undefined : places.splice(index, 1)[0]?.item;
  }

  return {
    get length() {
      return places.length;
    },
    add(item) {
      const turn = turnOf(item);
      const before = places.findLastIndex(
        (place) =>
          place.item.priority < item.priority ||
          (place.item.priority === item.priority && place.turn <= turn),
      );
      places.splice(before + 1, 0, { item, turn });
    },
    next: (mayRun) => take(places.findIndex(({ item }) => mayRun(item.tenant))),
    remove: (item) => take(places.findIndex((place) => place.item === item)) !== undefined,
    clear: () => places.splice(0).map(({ item }) => item),
  };
}
