import { setTimeout as sleep } from 'node:timers/promises';

/** How long to go on with something that the database did not take. */
export interface Patience {
  readonly forSeconds: number;
  /** Ends it at once. */
  readonly signal: AbortSignal;
  /** Told of the first failure only. */
  readonly onFailure: (error: unknown) => void;
}

/** Pause before the next try: short, so that work goes on soon after a restart of the database. */
const pauseMs = 500;

/** What `record` answers, as soon as it works; `undefined` when it did not work in time. Never fails. */
export async function untilRecorded<T>(
  record: () => Promise<T>,
  { forSeconds, signal, onFailure }: Patience,
): Promise<T | undefined> {
  const deadline = performance.now() + forSeconds * 1000;
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      return await record();
    } catch (error) {
      if (tries === 0) onFailure(error);
      if (performance.now() + pauseMs > deadline) return undefined;
    }
    // An abort ends the pause; the loop sees it.
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}
