import { z } from 'zod';
import type { ImageWithRenditions } from '../../../model/image.ts';
import type { TenantUsage } from '../../../model/tenant.ts';
import type { ImageComparison } from '../../../services/compare-with-image.ts';
import type { IngestResult } from '../../../services/ingest-upload.ts';
import type { DeletedPurgeReport } from '../../../services/purge/purge-deleted.ts';
import { comparisonNote, readingNote, roundTo } from '../../responses/comparison-notes.ts';

/** Schema of the response to an upload. */
export const uploadSchema = z.object({
  asset_id: z.int(),
  status: z.enum(['uploaded', 'exists']),
  message: z.string(),
  content_hash: z.string().nullable(),
  job_id: z.int().optional().describe('Absent if the status is `exists`.'),
});

/** Returns the response to an upload: `uploaded` with the job, or `exists` without one. */
export function uploadRecord({ outcome, image, jobId }: IngestResult): z.input<typeof uploadSchema> {
  const exists = outcome === 'known';
  return {
    asset_id: image.id,
    status: exists ? 'exists' : 'uploaded',
    message: exists
      ? 'This picture already exists; its asset is unchanged.'
      : 'The picture was uploaded; its renditions are being created.',
    content_hash: image.contentHash,
    ...(exists ? {} : { job_id: jobId }),
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
    .describe('Renditions that exist.'),
});

/** Returns an image as JSON of the older catalog service, with the renditions made so far. */
export function assetRecord(image: ImageWithRenditions): z.input<typeof assetSchema> {
  return {
    asset_id: image.id,
    filename: image.filename,
    content_hash: image.contentHash,
    width: image.width,
    height: image.height,
    bytes: image.originalBytes,
    color_space: image.colorSpace,
    created_at: image.createdAt.toISOString(),
    renditions: image.renditions.map((rendition) => ({
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
    .describe('By name: `original` and each preset with a rendition.'),
  note: z.string(),
});

/** Returns a comparison of an asset with a picture as JSON. */
export function comparisonRecord({ image, comparisons }: ImageComparison): z.input<typeof comparisonSchema> {
  return {
    asset_id: image.id,
    comparisons: Object.fromEntries(
      comparisons.map((comparison) => [
        comparison.name,
        {
          file_size_bytes: comparison.bytes,
          psnr_db: roundTo(comparison.psnr, 2),
          perceptual_hash_distance: comparison.hashDistance,
          note: comparisonNote(comparison),
        },
      ]),
    ),
    note: readingNote,
  };
}

/** Schema of an entry in the list of tenants. */
export const tenantSchema = z.object({
  tenant_id: z.int(),
  tenant_name: z.string(),
  asset_count: z.int(),
  rendition_count: z.int(),
  total_bytes: z.int(),
});

/** Returns usage of a tenant as an entry of the list. */
export function tenantRecord(usage: TenantUsage): z.input<typeof tenantSchema> {
  return {
    tenant_id: usage.tenantId,
    tenant_name: usage.tenant,
    asset_count: usage.images,
    rendition_count: usage.renditions,
    total_bytes: usage.originalBytes + usage.renditionBytes,
  };
}

/** Schema of usage of a single tenant. */
export const tenantUsageSchema = tenantSchema.extend({ asset_bytes: z.int(), rendition_bytes: z.int() });

/** Returns usage of a single tenant as JSON. */
export function tenantUsageRecord(usage: TenantUsage): z.input<typeof tenantUsageSchema> {
  return { ...tenantRecord(usage), asset_bytes: usage.originalBytes, rendition_bytes: usage.renditionBytes };
}

/** Schema of a purge. */
export const purgeSchema = z.object({
  dry_run: z.boolean(),
  purge_days: z.int(),
  cutoff_date: z.iso.datetime(),
  renditions_found: z.int().describe('Renditions older than the cutoff.'),
  renditions_to_delete: z.int().describe('Renditions of the assets to purge.'),
  deleted_count: z.int().describe('Number of purged renditions; 0 in a dry run.'),
  deleted_bytes: z.int().describe('Bytes freed; in a dry run, bytes that would be freed.'),
  errors: z.array(z.string()).nullable(),
});

/** Returns the result of a purge as JSON; this dialect counts renditions. */
export function purgeRecord(report: DeletedPurgeReport, days: number): z.input<typeof purgeSchema> {
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
