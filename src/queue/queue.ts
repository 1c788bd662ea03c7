import type { DueJob, JobKind } from '../model/job.ts';

/**
 * Wakes workers up. It carries no work: the jobs table is the source of truth, so a lost wake-up only costs the time
 * until the next poll, and a duplicate one finds nothing to do.
 */
export interface WorkQueue {
  readonly kind: 'in-process' | 'postgres' | 'redis';
  /**
   * Announces that these jobs are due now, or in `delayMs`. Never fails and never blocks. The first hundred jobs are
   * enough: a worker that is awake continues until nothing is due.
   */
  wake(jobs: readonly DueJob[], delayMs?: number): void;
  /**
   * Calls `poll` when jobs of this kind may be due, until the returned function is called. The promise of `poll` must
   * resolve only when the worker had a free slot and polled: a queue that sends each wake-up to one process waits for it,
   * so that a busy process leaves the next wake-ups to others.
   */
  onWake(kind: JobKind, poll: () => Promise<void>): () => void;
  /** Returns a sentence that says why wake-ups fail at present, else `undefined`. Workers poll meanwhile. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

/** Returns why an external system failed, as a word or a clause without addresses and passwords. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code || error.message || error.name;
}
