/**
 * Wakes workers up. It carries no work: the truth lies in the table of jobs, so a wake-up that is lost costs only the
 * time until the next poll.
 */
export interface WorkQueue {
  readonly kind: string;
  /** Says that a job is due. Never fails: the poll finds the job all the same. */
  wake(): void;
  /** Calls `listener` at each wake-up, until the answered function is called. */
  onWake(listener: () => void): () => void;
  close(): Promise<void>;
}
