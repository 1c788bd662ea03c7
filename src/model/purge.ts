import type { JobState } from './job.ts';

/** An image that a purge may remove. */
export interface PurgeCandidate {
  readonly id: number;
  readonly uuid: string;
  readonly tenantId: number;
  readonly tenant: string;
  readonly status: JobState;
  /** SHA-256 of the original, hexadecimal; `null` if the image never had an original. */
  readonly contentHash: string | null;
  readonly originalBytes: number;
  readonly createdAt: Date;
  readonly deletedAt: Date | null;
}

/** Totals of a purge. */
export interface PurgeTally {
  readonly images: number;
  readonly renditions: number;
  /** Number of removed files: originals and renditions that no other image used. */
  readonly files: number;
  /** Total size of these files in bytes. */
  readonly bytes: number;
  /** Images and files that could not be removed, one sentence each. */
  readonly errors: readonly string[];
}
