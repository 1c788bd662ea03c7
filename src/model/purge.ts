import type { JobState } from './job.ts';

/** An image that a purge may remove. */
export interface PurgeCandidate {
  readonly id: number;
  readonly uuid: string;
  readonly tenantId: number;
  readonly tenant: string;
  readonly status: JobState;
  /** `null` if it never had an original. */
  readonly contentHash: string | null;
  readonly originalBytes: number;
  readonly createdAt: Date;
  readonly deletedAt: Date | null;
}

/** Totals of a purge. */
export interface PurgeTally {
  readonly images: number;
  readonly renditions: number;
  /** Originals and renditions that no other image used. */
  readonly files: number;
  /** Bytes of those files. */
  readonly bytes: number;
  /** Images and files that could not be removed, one sentence each. */
  readonly errors: readonly string[];
}
