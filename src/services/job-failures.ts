import type { ClaimedJob, FailureClass } from '../model/job.ts';

/** The step at which a job failed, as recorded with the failure. */
export type Stage = 'fetch' | 'inspect' | 'decode' | 'store' | 'record';

const stagesByError = new WeakMap<object, Stage>();

/**
 * Runs `work`. If it throws an error, records `stage` as the stage of that error. If calls are nested, the innermost
 * stage is recorded.
 */
export async function atStage<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && !stagesByError.has(error)) stagesByError.set(error, stage);
    throw error;
  }
}

/** Returns the stage at which `error` was thrown; `record` if it was thrown outside `atStage`. */
export function failureStage(error: unknown): Stage {
  return (error instanceof Error && stagesByError.get(error)) || 'record';
}

/** Delays before the retries of a transient failure, in seconds. */
export const retryDelays: readonly number[] = [2, 4, 8];

/** Number of decoder crashes after which a job fails permanently. */
export const maxCrashes = 2;

/** Number of lost workers after which a job is considered the cause and fails permanently. */
export const maxLeaseLosses = 10;

/** What to do after a failed attempt. */
export type Verdict =
  | {
      readonly next: 'retry';
      readonly delaySeconds: number;
      /** The counter that this retry increments. */
      readonly counter: 'retries' | 'crashes';
      /** 1 for the first retry, 2 for the second, and so on. */
      readonly retryNumber: number;
      readonly maxRetries: number;
    }
  | {
      readonly next: 'give-up';
      /** Number of retries used for this kind of failure; 0 for a failure that is never retried. */
      readonly retriesUsed: number;
    };

/** Decides whether to retry a failed job, given its previous retries and crashes. */
export function decideNext(
  job: Pick<ClaimedJob, 'retries' | 'crashes'>,
  failureClass: Exclude<FailureClass, 'lease-lost'>,
): Verdict {
  switch (failureClass) {
    case 'permanent':
      return { next: 'give-up', retriesUsed: 0 };
    case 'crash':
      return job.crashes + 1 < maxCrashes
        ? {
            next: 'retry',
            delaySeconds: 0,
            counter: 'crashes',
            retryNumber: job.crashes + 1,
            maxRetries: maxCrashes - 1,
          }
        : { next: 'give-up', retriesUsed: maxCrashes - 1 };
    case 'transient': {
      const delaySeconds = retryDelays[job.retries];
      return delaySeconds === undefined
        ? { next: 'give-up', retriesUsed: retryDelays.length }
        : {
            next: 'retry',
            delaySeconds,
            counter: 'retries',
            retryNumber: job.retries + 1,
            maxRetries: retryDelays.length,
          };
    }
  }
}
