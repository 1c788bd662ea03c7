import type { DueJob, JobKind } from '../model/job.ts';

/**
 * Wakes workers up. It carries no work: the truth lies in the table of jobs, so a wake-up that is lost costs only the
 * time until the next poll, and one that comes twice finds nothing to do.
 */
export interface WorkQueue {
  readonly kind: 'in-process' | 'postgres' | 'redis';
  /**
   * Says that these jobs are due, or will be in `delayMs`. Never fails and waits for nobody. Of many jobs the first
   * hundred are enough: a worker that is awake goes on until nothing is due.
   */
  wake(jobs: readonly DueJob[], delayMs?: number): void;
  /**
   * Calls `look` when jobs of this kind may be due, until the answered function is called. What `look` answers resolves
   * when it had a free place and looked: a queue that gives each wake-up to one process only waits for that, so that a
   * process that is full leaves the next ones to others.
   */
  onWake(kind: JobKind, look: () => Promise<void>): () => void;
  /** Why it wakes nobody up now, as a sentence; `undefined` when it does. Work goes on by polling meanwhile. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

/** Why something outside failed, in a word or a clause: names no address and no password. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'for an unknown reason';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code || error.message || error.name;
}
