import { z } from 'zod';
import type { ImageWithRenditions } from '../../../model/image.ts';
import type { TenantUsage } from '../../../model/tenant.ts';
import type { ImageComparison } from '../../../services/compare-with-image.ts';
import type { IngestResult } from '../../../services/ingest-upload.ts';
import type { PurgeDeletedReport } from '../../../services/purge/purge-deleted.ts';
import { describeComparison, metricsNote, roundTo } from '../../responses/comparison-notes.ts';

/** Schema of the upload response. */
export const uploadSchema = z.object({
  asset_id: z.int(),
  status: z.enum(['uploaded', 'exists']),
  message: z.string(),
  content_hash: z.string().nullable(),
  job_id: z.int().optional().describe('Absent if the status is `exists`.'),
});

/** Converts an upload result to JSON. The status is `uploaded` with a job id, or `exists` without a job id. */
export function toUploadRecord({ outcome, image, jobId }: IngestResult): z.input<typeof uploadSchema> {
  const alreadyExists = outcome === 'known';
  return {
    asset_id: image.id,
    status: alreadyExists ? 'exists' : 'uploaded',
    message: alreadyExists
      ? 'This image already exists; its asset is unchanged.'
      : 'The image was uploaded; its renditions are being created.',
    content_hash: image.contentHash,
    ...(alreadyExists ? {} : { job_id: jobId }),
  };
}

/** Schema of an asset. */
export const assetSchema = z.object({
  asset_id: z.int(),
  filename: z.string().nullable(),
  content_hash: z.string().nullable(),
  width: z.int().nullable(),
  height: z.int().nullable(),
  bytes: z.int().nullable(),
  color_space: z.string().nullable(),
  created_at: z.iso.datetime(),
  renditions: z
    .array(
      z.object({
        preset: z.string(),
        file_path: z.string(),
        width: z.int(),
        height: z.int(),
        bytes: z.int(),
        quality: z.int(),
      }),
    )
    .describe('Renditions that have been created so far.'),
});

/** Converts an image to the JSON format of an asset, with the renditions that have been created so far. */
export function toAssetRecord(image: ImageWithRenditions): z.input<typeof assetSchema> {
  return {
    asset_id: image.id,
    filename: image.filename,
    content_hash: image.contentHash,
    width: image.width,
    height: image.height,
    bytes: image.originalBytes,
    color_space: image.colorSpace,
    created_at: image.createdAt.toISOString(),
    renditions: image.renditions
      .filter(({ isListed }) => isListed)
      .map((rendition) => ({
        preset: rendition.preset,
        file_path: rendition.storageKey,
        width: rendition.width,
        height: rendition.height,
        bytes: rendition.bytes,
        quality: rendition.quality,
      })),
  };
}

/** Schema of a comparison. */
export const comparisonSchema = z.object({
  asset_id: z.int(),
  comparisons: z
    .record(
      z.string(),
      z.object({
        file_size_bytes: z.int(),
        psnr_db: z.number(),
        perceptual_hash_distance: z.int(),
        note: z.string(),
      }),
    )
    .describe(
      'Comparisons with the original and with each rendition, keyed by `original` or by preset name.',
    ),
  note: z.string(),
});

/** Converts a comparison of an asset with an uploaded image to JSON. */
export function toComparisonRecord({
  image,
  comparisons,
}: ImageComparison): z.input<typeof comparisonSchema> {
  return {
    asset_id: image.id,
    comparisons: Object.fromEntries(
      comparisons.map((comparison) => [
        comparison.name,
        {
          file_size_bytes: comparison.bytes,
          psnr_db: roundTo(comparison.psnr, 2),
          perceptual_hash_distance: comparison.hashDistance,
          note: describeComparison(comparison),
        },
      ]),
    ),
    note: metricsNote,
  };
}

/** Schema of a tenant's usage in a list of all tenants. */
export const tenantSchema = z.object({
  tenant_id: z.int(),
  tenant_name: z.string(),
  asset_count: z.int(),
  rendition_count: z.int(),
  total_bytes: z.int(),
});

/** Converts a tenant's usage to JSON, for a list of all tenants. */
export function toTenantRecord(usage: TenantUsage): z.input<typeof tenantSchema> {
  return {
    tenant_id: usage.tenantId,
    tenant_name: usage.tenant,
    asset_count: usage.images,
    rendition_count: usage.renditions,
    total_bytes: usage.originalBytes + usage.renditionBytes,
  };
}

/** Schema of a single tenant's usage. */
export const tenantUsageSchema = tenantSchema.extend({ asset_bytes: z.int(), rendition_bytes: z.int() });

/** Converts a single tenant's usage to JSON. */
export function toTenantUsageRecord(usage: TenantUsage): z.input<typeof tenantUsageSchema> {
  return {
    ...toTenantRecord(usage),
    asset_bytes: usage.originalBytes,
    rendition_bytes: usage.renditionBytes,
  };
}

/** Schema of a purge report. */
export const purgeSchema = z.object({
  dry_run: z.boolean(),
  purge_days: z.int(),
  cutoff_date: z.iso.datetime(),
  renditions_found: z.int().describe('Number of renditions older than the cutoff.'),
  renditions_to_delete: z.int().describe('Number of renditions of the assets to purge.'),
  deleted_count: z.int().describe('Number of purged renditions; 0 in a dry run.'),
  deleted_bytes: z.int().describe('Bytes that were freed or, in a dry run, would be freed.'),
  errors: z.array(z.string()).nullable(),
});

/** Converts a purge report to JSON. This dialect counts renditions, not images. */
export function toPurgeRecord(report: PurgeDeletedReport, days: number): z.input<typeof purgeSchema> {
  return {
    dry_run: report.dryRun,
    purge_days: days,
    cutoff_date: report.cutoff.toISOString(),
    renditions_found: report.renditionsFound,
    renditions_to_delete: report.renditionsToDelete,
    deleted_count: report.dryRun ? 0 : report.renditions,
    deleted_bytes: report.dryRun ? report.bytesToDelete : report.bytes,
    errors: report.errors.length === 0 ? null : [...report.errors],
  };
}
