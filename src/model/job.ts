import type { FocalPoint } from './preset.ts';
import type { VariantName } from './rendition.ts';

/** States of jobs and images. The database, the HTTP API and the logs use the same words. */
export const jobStates = ['pending', 'processing', 'completed', 'failed'] as const;

/** @see jobStates */
export type JobState = (typeof jobStates)[number];

/**
 * Why a job failed, as a class that determines whether the job is retried:
 * - `permanent`: the input is invalid or exceeds a limit. The job is not retried.
 * - `transient`: a timeout, or a failure of the network, storage or the database. The job is retried after 2, 4 and 8 s.
 * - `crash`: the decoder process crashed or was killed. The job is retried once.
 * - `lease-lost`: the worker crashed. Another worker takes over the job. A job that loses its worker ten times fails.
 */
export type FailureClass = 'permanent' | 'transient' | 'crash' | 'lease-lost';

/** A failed attempt in a job's history. */
export interface FailedAttempt {
  readonly at: string;
  readonly failureClass: FailureClass;
  /** The step that failed, such as `decode` or `store`. */
  readonly stage: string;
  readonly code: string;
  /** Why the attempt failed, as a sentence for users. */
  readonly error: string;
}

/**
 * Job kinds. A `derive` job makes an image's renditions. An `import` job first downloads the original from a URL. A `render` job
 * makes further variants of a completed image.
 */
export const jobKinds = ['derive', 'import', 'render'] as const;

/** @see jobKinds */
export type JobKind = (typeof jobKinds)[number];

/** Priorities of jobs, and of pictures that wait for a decoder. Lower numbers are processed first. */
export const priorities = {
  /** A client is waiting for the response. */
  inline: 10,
  /** A client is waiting for a rendition that is made on request. */
  request: 20,
  /** A single upload or import. */
  single: 50,
  /** A line of a bulk import. */
  batch: 100,
  /** A variant that nobody waits for. */
  low: 200,
} as const;

/** A job that is waiting for a worker. */
export interface DueJob {
  readonly id: number;
  readonly kind: JobKind;
}

/** A job that a worker has claimed under a lease. */
export interface ClaimedJob {
  readonly id: number;
  readonly kind: JobKind;
  readonly imageId: number;
  readonly tenantId: number;
  /** The original to process; `null` if the image has none. */
  readonly original: { readonly key: string; readonly contentHash: string } | null;
  /** The URL from which an import downloads the original. */
  readonly sourceUrl: string | null;
  /** Whether the image has never been completed. */
  readonly isFirstRun: boolean;
  /** Fencing token. Every write checks it, so that a worker that has lost its lease cannot write. */
  readonly leaseToken: number;
  /** @see priorities */
  readonly priority: number;
  readonly retries: number;
  readonly crashes: number;
  readonly leaseLosses: number;
  /** What a `render` job makes; `null` means the variants that its campaign is about. */
  readonly variants: readonly VariantName[] | null;
  readonly campaignId: number | null;
  /** The focal point of the image when the job was claimed. */
  readonly focalPoint: FocalPoint | null;
}

/** A job as reported to operators. */
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
  /** Failed attempts, oldest first. */
  readonly history: readonly FailedAttempt[];
  readonly createdAt: Date;
  /** When the next attempt is due, if the job is pending. */
  readonly runAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}
