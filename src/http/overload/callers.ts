import { makeSurgeDetector, type SurgeDetector } from './surge.ts';

/** A caller that has uploads in progress, or has sent one recently. */
export interface Caller<Waiting> {
  /** Number of its uploads that are being processed. */
  active: number;
  /** Its uploads that wait, in the order of arrival. */
  readonly waiting: Waiting[];
  /** When its last upload arrived. */
  lastSeen: number;
  /** When its last upload began to be processed. */
  lastStart: number;
  readonly surge: SurgeDetector;
}

/** The callers among which slots are shared. */
export interface Callers<Waiting> {
  /** Returns the caller with this key, and records that it has sent an upload. */
  see(key: string): Caller<Waiting>;
  /** Returns how many slots a caller may use. */
  shareOf(caller: Caller<Waiting>): number;
  /** Whether a caller may use one more slot now. */
  mayStart(caller: Caller<Waiting>): boolean;
  /** Returns the waiting caller that uses the fewest slots, of those that may use one more. */
  findNext(): Caller<Waiting> | undefined;
  /** Whether a caller must leave a slot unused after an upload, for as long as the upload took. */
  mustRest(caller: Caller<Waiting>): boolean;
  all(): Iterable<Caller<Waiting>>;
}

/** How long a caller that has no upload in progress keeps its share, so that its next upload does not have to wait. */
const rememberMs = 2_000;

/** How long an upload of a caller that causes an overload lets the uploads of other callers go first. */
const yieldMs = 100;

/** Creates an empty set of callers that share `maxActive` slots. */
export function makeCallers<Waiting extends { readonly takenAt: number }>(
  maxActive: number,
  now: () => number,
): Callers<Waiting> {
  const callers = new Map<string, Caller<Waiting>>();

  function forgetIdle(): void {
    for (const [key, { active, waiting, lastSeen }] of callers)
      if (active === 0 && waiting.length === 0 && now() - lastSeen > rememberMs) callers.delete(key);
  }

  /**
   * A caller that is alone may use all slots; otherwise, the callers have equal shares. A caller that causes an overload gets
   * half of its share, and uses it for half of the time, so that its uploads do not slow down those of the others.
   */
  function shareOf({ surge }: Caller<Waiting>): number {
    if (callers.size === 1) return maxActive;
    if (surge.isOverloaded()) return Math.max(1, Math.floor(maxActive / (2 * callers.size)));
    return Math.ceil(maxActive / callers.size);
  }

  /**
   * Whether a caller that causes an overload lets others go first. On a small machine, even a single upload at the same time
   * makes the others slower. Once none of them is being processed, or after a while, it goes on.
   */
  function mustYield(caller: Caller<Waiting>): boolean {
    if (!caller.surge.isOverloaded() || now() - caller.lastStart >= yieldMs) return false;
    return callers.values().some(({ active, surge }) => active > 0 && !surge.isOverloaded());
  }

  function mayStart(caller: Caller<Waiting>): boolean {
    return caller.active < shareOf(caller) && !mustYield(caller);
  }

  function mustRest({ surge }: Caller<Waiting>): boolean {
    return callers.size > 1 && surge.isOverloaded();
  }

  return {
    see(key) {
      forgetIdle();
      const caller = callers.get(key) ?? {
        active: 0,
        waiting: [],
        lastSeen: 0,
        lastStart: -Infinity,
        surge: makeSurgeDetector(maxActive, now),
      };
      caller.lastSeen = now();
      callers.set(key, caller);
      return caller;
    },
    shareOf,
    mustRest,
    mayStart,
    findNext() {
      forgetIdle();
      let next: Caller<Waiting> | undefined;
      for (const caller of callers.values()) {
        if (caller.waiting.length === 0 || !mayStart(caller)) continue;
        if (next === undefined || isBefore(caller, next)) next = caller;
      }
      return next;
    },
    all: () => callers.values(),
  };
}

function isBefore<Waiting extends { readonly takenAt: number }>(
  a: Caller<Waiting>,
  b: Caller<Waiting>,
): boolean {
  if (a.active !== b.active) return a.active < b.active;
  return (a.waiting[0]?.takenAt ?? 0) < (b.waiting[0]?.takenAt ?? 0);
}
