import { z } from 'zod';
import { type Campaign, type CampaignEstimate, campaignStates } from '../../model/campaign.ts';
import { renditionFormats } from '../../model/preset.ts';
import type { CampaignReport } from '../../services/campaigns/campaigns.ts';
import {
  reindexingStartExample,
  renderingExample,
  renderingStartExample,
  renderingWithFailuresExample,
} from './rendering-examples.ts';

/** Schema of a re-rendering in a list. */
export const renderingSchema = z
  .object({
    id: z.int(),
    kind: z
      .enum(['rendering', 'reindexing'])
      .describe(
        '`rendering`: makes renditions again; `reindexing`: computes fingerprints and embeddings again.',
      ),
    presets: z.array(z.string()).describe('Empty for a reindexing.'),
    tenant: z.string().nullable().describe('`null` for the images of all tenants.'),
    state: z.enum(campaignStates),
    total: z.int().describe('Number of images that need to be processed, including those that have been.'),
    done: z.int().describe('Number of images that have been processed.'),
    skipped: z
      .int()
      .describe(
        'Number of images that needed nothing any more when it was their turn, or were removed before.',
      ),
    failed: z.int().describe('Number of images that could not be processed.'),
    done_per_minute: z.int().describe('Number of images that were processed in the last minute.'),
    remaining_seconds: z
      .int()
      .nullable()
      .describe('Expected time until the end; `null` if it is not running or has not made progress lately.'),
    created_by: z.string(),
    created_at: z.iso.datetime(),
    finished_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Rendering', examples: [renderingExample] });

/** Schema of a re-rendering with the first images that failed. */
export const renderingWithFailuresSchema = renderingSchema
  .extend({
    failures: z
      .array(
        z.object({
          job_id: z.int(),
          image_id: z.int().nullable().describe('`null` if the image was purged.'),
          code: z.string().nullable(),
          error: z.string().nullable(),
        }),
      )
      .describe('The first 100 images that failed, as long as their jobs are kept.'),
  })
  .meta({ id: 'RenderingWithFailures', examples: [renderingWithFailuresExample] });

const estimateSchema = z.object({
  images: z.int().describe('Number of images with outdated or missing renditions.'),
  files: z.array(
    z.object({
      preset: z.string(),
      format: z.enum(renditionFormats),
      files: z.int(),
      bytes: z
        .int()
        .nullable()
        .describe(
          'Expected size of all files, from the mean size of existing files; `null` if there are none.',
        ),
    }),
  ),
  bytes: z.int().nullable().describe('Sum of the sizes; `null` if one of them is not known.'),
  work_seconds: z
    .number()
    .nullable()
    .describe(
      'Expected time of all jobs together, from the mean time of recent jobs; `null` if there are none. Concurrent jobs share it.',
    ),
});

/** Schema of the response to the start of a re-rendering. */
export const renderingStartSchema = z
  .object({
    estimate: estimateSchema,
    rendering: renderingSchema.nullable().describe('`null` after a dry run.'),
  })
  .meta({ id: 'RenderingStart', examples: [renderingStartExample] });

/** Schema of the response to the start of a reindexing. */
export const reindexingStartSchema = z
  .object({
    images: z.int().describe('Number of images whose fingerprints or embeddings are outdated.'),
    reindexing: renderingSchema.nullable().describe('`null` after a dry run.'),
  })
  .meta({ id: 'ReindexingStart', examples: [reindexingStartExample] });

/** Converts a campaign to JSON. */
export function toRenderingRecord(campaign: Campaign): z.input<typeof renderingSchema> {
  return {
    id: campaign.id,
    kind: campaign.kind,
    presets: [...campaign.presets],
    tenant: campaign.tenant,
    state: campaign.state,
    total: campaign.total,
    done: campaign.done,
    skipped: campaign.skipped,
    failed: campaign.failed,
    done_per_minute: campaign.donePerMinute,
    remaining_seconds: campaign.remainingSeconds,
    created_by: campaign.createdBy,
    created_at: campaign.createdAt.toISOString(),
    finished_at: campaign.finishedAt?.toISOString() ?? null,
  };
}

/** Converts a campaign with its failures to JSON. */
export function toRenderingWithFailuresRecord(
  report: CampaignReport,
): z.input<typeof renderingWithFailuresSchema> {
  const failures = report.failures.map(({ jobId, imageId, code, error }) => ({
    job_id: jobId,
    image_id: imageId,
    code,
    error,
  }));
  return { ...toRenderingRecord(report), failures };
}

/** Converts an estimate to JSON. */
export function toEstimateRecord(estimate: CampaignEstimate): z.input<typeof estimateSchema> {
  const { images, files, bytes, workSeconds } = estimate;
  return {
    images,
    files: files.map((file) => ({ ...file })),
    bytes,
    work_seconds: workSeconds === null ? null : Math.round(workSeconds * 10) / 10,
  };
}
