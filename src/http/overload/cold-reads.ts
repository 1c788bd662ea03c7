/** Renditions that the process is loading from storage. */
export interface ColdReads {
  /** Returns why a caller cannot load a rendition now, as a sentence; `undefined` if it can. */
  explainRefusal(caller: string): string | undefined;
  /** Returns how long a refused caller should wait, in seconds: about as long as recent reads took, at most 30. */
  retryAfterSeconds(): number;
  /** Counts the work until it has ended. */
  run<T>(caller: string, work: () => Promise<T>): Promise<T>;
}

/** Weight of the latest duration in the average duration. */
const smoothing = 0.1;

const maxRetrySeconds = 30;

/**
 * Limits the renditions that are loaded at the same time. A caller may use the whole limit while it is alone. Once the limit is
 * reached, a caller that uses less than an equal share may still begin, so that nobody locks out the others: the limit may
 * therefore be exceeded by the shares of the callers that came later.
 * @param setting the settings that make up the limit
 */
export function makeColdReads(
  maximum: number,
  describe: (total: number) => string = describeReads,
  setting = 'MAX_COLD_READS',
): ColdReads {
  const byCaller = new Map<string, number>();
  let total = 0;
  let averageMs = 0;

  function change(caller: string, difference: 1 | -1): void {
    const count = (byCaller.get(caller) ?? 0) + difference;
    total += difference;
    if (count > 0) byCaller.set(caller, count);
    else byCaller.delete(caller);
  }

  return {
    explainRefusal(caller) {
      if (total < maximum) return undefined;
      const own = byCaller.get(caller) ?? 0;
      const callers = byCaller.size + Number(own === 0);
      if (own < Math.max(1, Math.floor(maximum / callers))) return undefined;
      return `${describe(total)}, ${own} of them for this caller; the limit is ${maximum} (${setting}).`;
    },
    // A constant would be too short while renditions are made: hundreds of clients would return each second, for nothing.
    retryAfterSeconds: () => Math.min(maxRetrySeconds, Math.ceil(averageMs / 1_000)),
    async run(caller, work) {
      change(caller, 1);
      const startedAt = performance.now();
      try {
        return await work();
      } finally {
        averageMs += smoothing * (performance.now() - startedAt - averageMs);
        change(caller, -1);
      }
    },
  };
}

function describeReads(total: number): string {
  return `${total} ${total === 1 ? 'rendition is' : 'renditions are'} being loaded from storage`;
}
