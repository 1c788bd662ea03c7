import type { DueJob, JobKind } from '../model/job.ts';

/**
 * Wakes workers when jobs are due. Wake-ups are only hints, because the jobs table is the source of truth. If a
 * wake-up is lost, workers find the job at their next poll. If a wake-up is duplicated, they find nothing to do.
 */
export interface WorkQueue {
  readonly kind: 'in-process' | 'postgres' | 'redis';
  /**
   * Announces that these jobs are due now or after `delayMs`. Never fails or blocks. Callers need not announce all jobs if
   * there are more than a hundred, because a worker that has been woken continues until no job is due.
   */
  wake(jobs: readonly DueJob[], delayMs?: number): void;
  /**
   * Calls `poll` when jobs of this kind may be due, until the returned function is called. `poll` must not resolve until the
   * worker has had free capacity and has polled. A queue that sends each wake-up to a single process waits for `poll`, so that
   * other processes receive the next wake-ups while this process is busy.
   */
  onWake(kind: JobKind, poll: () => Promise<void>): () => void;
  /** Returns a sentence that explains why wake-ups currently fail, or `undefined` if they work. */
  outageReason(): string | undefined;
  close(): Promise<void>;
}

/** Returns why an external system failed. Prefers the error code, because the message may contain an address. */
export function getFailureReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code || error.message || error.name;
}
