import type { RenditionFormat } from './preset.ts';

/** States of campaigns. A paused campaign can be resumed. */
export const campaignStates = ['running', 'paused', 'cancelled', 'completed'] as const;

/** @see campaignStates */
export type CampaignState = (typeof campaignStates)[number];

/**
 * A campaign processes all images of a tenant, or of all tenants, that are outdated. A `rendering` makes the renditions of some
 * presets again. A `reindexing` describes pictures again: it computes their fingerprints and embeddings.
 */
export interface Campaign {
  readonly id: number;
  readonly kind: 'rendering' | 'reindexing';
  /** Names of the presets; empty for a reindexing. */
  readonly presets: readonly string[];
  /** Name of the tenant whose images are processed; `null` for all tenants. */
  readonly tenant: string | null;
  readonly state: CampaignState;
  /** Number of images that need to be processed, including those that have been processed. */
  readonly total: number;
  /** Number of images that have been processed. */
  readonly done: number;
  /** Number of images that needed nothing any more when it was their turn, or were removed before. */
  readonly skipped: number;
  /** Number of images that could not be processed. */
  readonly failed: number;
  /** Number of images that were processed in the last minute. */
  readonly donePerMinute: number;
  /** Expected time until the end, in seconds; `null` if the campaign is not running, or if nothing has been processed lately. */
  readonly remainingSeconds: number | null;
  /** Who created it. */
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** An image whose renditions could not be made. */
export interface CampaignFailure {
  readonly jobId: number;
  /** `null` if the image has been purged. */
  readonly imageId: number | null;
  readonly code: string | null;
  readonly error: string | null;
}

/** The files of one preset and format that a campaign makes. */
export interface FileEstimate {
  readonly preset: string;
  readonly format: RenditionFormat;
  readonly files: number;
  /** Expected size of all files in bytes, from the mean size of existing files; `null` if there are none. */
  readonly bytes: number | null;
}

/** What a campaign will do. */
export interface CampaignEstimate {
  /** Number of images that need renditions. */
  readonly images: number;
  readonly files: readonly FileEstimate[];
  /** Expected size of all files in bytes; `null` if the size of some cannot be estimated. */
  readonly bytes: number | null;
  /**
   * Expected time of all jobs together, in seconds, from the mean time of recent jobs; `null` if there are none. The campaign
   * takes less time if several jobs run at once.
   */
  readonly workSeconds: number | null;
}

/** A variant with the recipe that it has now, for images without a focal point. */
export interface ExpectedVariant {
  readonly preset: string;
  readonly format: RenditionFormat;
  readonly density: number;
  readonly recipe: string;
  /** Whether the recipe also depends on the image's focal point. */
  readonly usesFocalPoint: boolean;
  /** Whether every image has this variant. Others are only made again if they exist. */
  readonly isEager: boolean;
}
