import type { Sample } from './load.ts';

/** Returns a percentile, or `NaN` if there are no numbers. */
export function percentile(numbers: readonly number[], fraction: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? Number.NaN;
}

/** The response times of a load, by outcome, in milliseconds. */
export interface Summary {
  readonly accepted: readonly number[];
  readonly refused: readonly number[];
  /** Responses other than 201 and 503, and requests without a response. */
  readonly failures: number;
}

/** Separates the samples by outcome. */
export function summarize(samples: readonly Sample[]): Summary {
  const timesOf = (status: number) =>
    samples.filter((sample) => sample.status === status).map(({ ms }) => ms);
  return {
    accepted: timesOf(201),
    refused: timesOf(503),
    failures: samples.filter(({ status }) => status !== 201 && status !== 503).length,
  };
}

/**
 * Returns the time after which a load was normal: the end of the last second in which a request was refused or the 95th
 * percentile was above `limitMs`, in seconds.
 */
export function secondsUntilNormal(samples: readonly Sample[], limitMs: number): number {
  const bySecond = Map.groupBy(samples, ({ at }) => Math.floor(at / 1000));
  const badSeconds = [...bySecond].filter(([, inSecond]) => {
    const { accepted, refused, failures } = summarize(inSecond);
    return refused.length + failures > 0 || percentile(accepted, 0.95) > limitMs;
  });
  return Math.max(0, ...badSeconds.map(([second]) => second + 1));
}
