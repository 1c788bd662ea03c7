import type { ClaimedJob, FailureClass } from '../model/job.ts';

/** The step at which a job failed. It is recorded with the failure. */
export type Stage = 'fetch' | 'inspect' | 'decode' | 'store' | 'record';

const stages = new WeakMap<object, Stage>();

/** Runs `work` and remembers `stage` for an error that it throws. Nested calls keep the innermost stage. */
export async function atStage<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && !stages.has(error)) stages.set(error, stage);
    throw error;
  }
}

/** Returns the stage at which `error` was thrown; `record` if it was thrown outside `atStage`. */
export function stageOf(error: unknown): Stage {
  return (error instanceof Error && stages.get(error)) || 'record';
}

/** Delays before the retries of a transient failure, in seconds. */
export const retryDelays: readonly number[] = [2, 4, 8];

/** How often a job may crash its decoder process before it fails for good. */
export const maxCrashes = 2;

/** How often a job may lose its worker before the job is considered the cause. */
export const maxLeaseLosses = 10;

/** What to do after a failed attempt. */
export type Verdict =
  | {
      readonly next: 'retry';
      readonly delaySeconds: number;
      /** The budget that this retry is taken from. */
      readonly budget: 'retries' | 'crashes';
      readonly attempt: number;
      readonly of: number;
    }
  | { readonly next: 'give-up'; readonly tries: number };

/** Decides whether to retry a job after a failure, given the retries and crashes it has used. */
export function decideNext(
  job: Pick<ClaimedJob, 'retries' | 'crashes'>,
  failureClass: Exclude<FailureClass, 'lease-lost'>,
): Verdict {
  switch (failureClass) {
    case 'permanent':
      return { next: 'give-up', tries: 0 };
    case 'crash':
      return job.crashes + 1 < maxCrashes
        ? { next: 'retry', delaySeconds: 0, budget: 'crashes', attempt: job.crashes + 1, of: maxCrashes - 1 }
        : { next: 'give-up', tries: maxCrashes - 1 };
    case 'transient': {
      const delaySeconds = retryDelays[job.retries];
      return delaySeconds === undefined
        ? { next: 'give-up', tries: retryDelays.length }
        : {
            next: 'retry',
            delaySeconds,
            budget: 'retries',
            attempt: job.retries + 1,
            of: retryDelays.length,
          };
    }
  }
}
