import type { JobState } from './job.ts';

/** @see DuplicatePolicy */
export const duplicatePolicies = ['reuse-completed', 'allow-retry', 'reject-active'] as const;

/**
 * How to handle a URL that was imported before:
 * - `reuse-completed`: return the existing image if it is completed or in progress; import the URL again after a failure.
 * - `allow-retry`: always import the URL again.
 * - `reject-active`: reject the URL while an import of it is in progress; otherwise import it again.
 */
export type DuplicatePolicy = (typeof duplicatePolicies)[number];

/** A non-public network that imports may reach. */
export interface AllowedNetwork {
  /** Network in CIDR notation. */
  readonly network: string;
  /** The only allowed port; `undefined` allows every port. */
  readonly port: number | undefined;
}

/** The outcome of a line: a new image, an existing image, an image in progress, or a rejection. */
export type ImportOutcome = 'new' | 'known' | 'active' | 'refused';

/** A recorded line of an import. */
export interface ImportLine {
  /** Position in the import, starting at 1. */
  readonly line: number;
  readonly url: string;
  readonly tenant: string;
  /** Reference to add to the image. */
  readonly reference: string | null;
  readonly outcome: ImportOutcome;
  readonly imageId: number | null;
  /** Why the line was rejected or its image failed, as an error code. */
  readonly code: string | null;
  /** Why the line was rejected or its image failed, as a sentence. */
  readonly error: string | null;
}

/** Progress of an import. */
export interface ImportReport {
  readonly id: number;
  readonly uuid: string;
  readonly createdAt: Date;
  readonly total: number;
  readonly refused: number;
  /** Number of lines by current image status. Lines whose image was deleted are not counted. */
  readonly images: Readonly<Record<JobState, number>>;
  /** Rejected lines and lines whose image failed, in import order. */
  readonly failures: readonly ImportLine[];
  readonly failuresTotal: number;
}

/** The id or the UUID of an import. */
export type ImportRef = { readonly id: number } | { readonly uuid: string };
