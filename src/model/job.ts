/** Life of a job, and of an image: the words are the same everywhere, in the database, over HTTP and in logs. */
export const jobStates = ['pending', 'processing', 'completed', 'failed'] as const;

/** One of the four states of a job. */
export type JobState = (typeof jobStates)[number];

/**
 * Why work failed, which decides what happens next:
 * - `permanent`: the input is bad or over a limit; fails now, no retry.
 * - `transient`: a timeout, the network, storage or the database; retried after 2, 4 and 8 s.
 * - `crash`: the decoder child died or was killed; a budget of two tries.
 * - `lease-lost`: the worker itself died; taken over by another, no retry spent, ten times at most.
 */
export type FailureClass = 'permanent' | 'transient' | 'crash' | 'lease-lost';

/** One failed try of a job, as kept in its history. */
export interface FailedAttempt {
  readonly at: string;
  readonly failureClass: FailureClass;
  /** Step of the journey where it failed, e.g. `decode` or `store`. */
  readonly stage: string;
  readonly code: string;
  /** A sentence that a shop's editor understands. */
  readonly error: string;
}

/** What a job is about: making the renditions of an image, or fetching its original from a URL before. */
export const jobKinds = ['derive', 'import'] as const;

/** One of the kinds of jobs. */
export type JobKind = (typeof jobKinds)[number];

/** A job that waits for a worker. */
export interface DueJob {
  readonly id: number;
  readonly kind: JobKind;
}

/** A job as its holder sees it: claimed under a lease, fenced by a token. */
export interface ClaimedJob {
  readonly id: number;
  readonly kind: JobKind;
  readonly imageId: number;
  readonly tenantId: number;
  /** Original that it works on; `null` when the image has none yet, or none any more. */
  readonly original: { readonly key: string; readonly contentHash: string } | null;
  /** Where an import fetches its original. */
  readonly sourceUrl: string | null;
  /** Whether its image has never been finished before. */
  readonly isFirstRun: boolean;
  /** Fencing token: every write of the holder names it, so that a holder whose lease was taken over changes nothing. */
  readonly leaseToken: number;
  /** Lower goes first. */
  readonly priority: number;
  readonly retries: number;
  readonly crashes: number;
  readonly leaseLosses: number;
}

/** A job as operators see it. */
export interface JobReport {
  readonly id: number;
  readonly kind: JobKind;
  readonly state: JobState;
  readonly imageId: number | null;
  readonly tenant: string;
  readonly contentHash: string | null;
  readonly priority: number;
  readonly retries: number;
  readonly crashes: number;
  readonly leaseLosses: number;
  readonly failureClass: FailureClass | null;
  readonly failureStage: string | null;
  readonly errorCode: string | null;
  readonly error: string | null;
  /** Failed tries, oldest first. */
  readonly history: readonly FailedAttempt[];
  readonly createdAt: Date;
  /** When its next try is due, while it is pending. */
  readonly runAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}
