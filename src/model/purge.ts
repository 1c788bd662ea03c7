import type { JobState } from './job.ts';

/** An image that a purge would remove. */
export interface PurgeCandidate {
  readonly id: number;
  readonly uuid: string;
  readonly tenantId: number;
  readonly tenant: string;
  readonly status: JobState;
  /** `null` when it never got any content. */
  readonly contentHash: string | null;
  readonly originalBytes: number;
  readonly createdAt: Date;
  readonly deletedAt: Date | null;
}

/** What a purge removed. */
export interface PurgeTally {
  readonly images: number;
  readonly renditions: number;
  /** Files that no image needed any more: originals and renditions. */
  readonly files: number;
  /** Bytes of those files. */
  readonly bytes: number;
  /** What could not be removed, a sentence each; the rest was removed all the same. */
  readonly errors: readonly string[];
}
