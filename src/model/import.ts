import type { JobState } from './job.ts';

/** What became of one line of an import: an image of its own, one that was there, one in work, or a refusal. */
export type ImportOutcome = 'new' | 'known' | 'active' | 'refused';

/** One line of an import, as it was taken in. */
export interface ImportLine {
  /** Its place in the import, from 1. */
  readonly line: number;
  readonly url: string;
  readonly tenant: string;
  /** Who uses the image, when the line says so. */
  readonly reference: string | null;
  readonly outcome: ImportOutcome;
  readonly imageId: number | null;
  readonly code: string | null;
  /** Why it was refused, as a sentence. */
  readonly error: string | null;
}

/** Progress of an import. */
export interface ImportReport {
  readonly id: number;
  readonly uuid: string;
  readonly createdAt: Date;
  readonly total: number;
  readonly refused: number;
  /** Lines that led to an image, by its state now; lines whose image was deleted do not count. */
  readonly images: Readonly<Record<JobState, number>>;
  /** Lines that came to nothing, in the order of the import: refused ones, and ones whose image failed. */
  readonly failures: readonly ImportLine[];
  readonly failuresTotal: number;
}

/** How a caller names an import: by its number or by its UUID. */
export type ImportReference = { readonly id: number } | { readonly uuid: string };
