import type { ClaimedJob, FailureClass } from '../model/job.ts';

/** Pauses before the retries of a transient failure, in seconds. */
export const retryDelays: readonly number[] = [2, 4, 8];

/** Tries of a picture that stops the decoder: then no decoder opens it again by itself. */
export const crashTries = 2;

/** How often a job may lose its worker before it is taken for the cause. */
export const leaseLossLimit = 10;

/** What follows a failed try. */
export type Verdict =
  | {
      readonly next: 'retry';
      readonly delaySeconds: number;
      readonly spend: 'retries' | 'crashes';
      readonly attempt: number;
      readonly of: number;
    }
  | { readonly next: 'give-up'; readonly tries: number };

/** Decides what follows a failure of `failureClass`, from what the job has spent before. */
export function decideNext(
  job: Pick<ClaimedJob, 'retries' | 'crashes'>,
  failureClass: Exclude<FailureClass, 'lease-lost'>,
): Verdict {
  switch (failureClass) {
    case 'permanent':
      return { next: 'give-up', tries: 0 };
    case 'crash':
      return job.crashes + 1 < crashTries
        ? { next: 'retry', delaySeconds: 0, spend: 'crashes', attempt: job.crashes + 1, of: crashTries - 1 }
        : { next: 'give-up', tries: crashTries - 1 };
    case 'transient': {
      const delaySeconds = retryDelays[job.retries];
      return delaySeconds === undefined
        ? { next: 'give-up', tries: retryDelays.length }
        : { next: 'retry', delaySeconds, spend: 'retries', attempt: job.retries + 1, of: retryDelays.length };
    }
  }
}
