import type { DueJob, JobKind } from '../model/job.ts';

/**
 * Wakes workers. Wake-ups carry no work, because the jobs table is the source of truth. If one is lost, workers find the job
 * at their next poll. If one is duplicated, they find nothing to do.
 */
export interface WorkQueue {
  readonly kind: 'in-process' | 'postgres' | 'redis';
  /**
   * Announces that these jobs are due now, or in `delayMs`. Never fails or blocks. Callers need not announce more
   * than a hundred jobs, because a worker that is awake continues until no job is due.
   */
  wake(jobs: readonly DueJob[], delayMs?: number): void;
  /**
   * Calls `poll` when jobs of this kind may be due, until the returned function is called. `poll` must resolve only when the
   * worker has had free capacity and has polled: a queue that sends each wake-up to a single process waits for this, so that
   * a busy process leaves the next wake-ups to others.
   */
  onWake(kind: JobKind, poll: () => Promise<void>): () => void;
  /** Returns a sentence that explains why wake-ups currently fail, or `undefined` if they work. */
  outageReason(): string | undefined;
  close(): Promise<void>;
}

/** Returns why an external system failed: the error code if there is one, because messages may contain addresses. */
export function failureReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code || error.message || error.name;
}
