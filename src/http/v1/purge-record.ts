import { z } from 'zod';
import type { PurgeCandidate } from '../../model/purge.ts';
import type { DeletedPurgeReport } from '../../services/purge/purge-deleted.ts';
import type { UnusedPurgeReport } from '../../services/purge/purge-unused.ts';
import { unusedPurgeExample } from './examples.ts';

const errors = z
  .array(z.string())
  .nullable()
  .describe('One message per image or file that could not be removed; everything else was removed.');
const remaining = z.int().describe('Candidates left when the call reached its time limit; call again.');

const candidateSchema = z.object({
  id: z.int(),
  uuid: z.uuid(),
  tenant: z.string(),
  content_hash: z.string().nullable().describe('`null` if it never had an original.'),
  size_bytes: z.int(),
  created_at: z.iso.datetime(),
});

/** Schema of a purge of unused images. */
export const unusedPurgeSchema = z
  .object({
    dry_run: z.boolean(),
    candidates: z.array(z.string()).describe('Content hashes of unused images; at most 1,000.'),
    candidates_total: z.int(),
    deleted_count: z.int().describe('Number of purged images; 0 in a dry run.'),
    deleted_bytes: z.int(),
    deleted_files: z.int(),
    remaining,
    images: z.array(candidateSchema).describe('Details of the candidates.'),
    warnings: z.array(z.string()).describe('Warnings, such as that a tenant has never used references.'),
    errors,
  })
  .meta({ examples: [unusedPurgeExample] });

/** Schema of a purge of deleted images. */
export const deletedPurgeSchema = z.object({
  dry_run: z.boolean(),
  days: z.int(),
  cutoff_date: z.iso.datetime().describe('Images deleted before this time are purged.'),
  images_to_delete: z.int(),
  renditions_found: z
    .int()
    .describe('Renditions older than the cutoff, including those of images that are not deleted.'),
  renditions_to_delete: z.int().describe('Renditions of the images to purge.'),
  deleted_count: z.int().describe('Number of purged images; 0 in a dry run.'),
  deleted_renditions: z.int(),
  deleted_files: z.int(),
  deleted_bytes: z.int().describe('Bytes freed; 0 in a dry run.'),
  bytes_to_delete: z.int().describe('Bytes that purging these images frees, as computed before the purge.'),
  remaining,
  errors,
});

/** Returns the result of a purge of unused images as JSON. */
export function unusedPurgeRecord(report: UnusedPurgeReport): z.input<typeof unusedPurgeSchema> {
  return {
    dry_run: report.dryRun,
    candidates: report.candidates.map(({ contentHash }) => contentHash).filter((hash) => hash !== null),
    candidates_total: report.candidatesTotal,
    deleted_count: report.images,
    deleted_bytes: report.bytes,
    deleted_files: report.files,
    remaining: report.remaining,
    images: report.candidates.map(candidateRecord),
    warnings: [...report.warnings],
    errors: errorsOrNull(report.errors),
  };
}

/** Returns the result of a purge of deleted images as JSON. */
export function deletedPurgeRecord(
  report: DeletedPurgeReport,
  days: number,
): z.input<typeof deletedPurgeSchema> {
  return {
    dry_run: report.dryRun,
    days,
    cutoff_date: report.cutoff.toISOString(),
    images_to_delete: report.imagesToDelete,
    renditions_found: report.renditionsFound,
    renditions_to_delete: report.renditionsToDelete,
    deleted_count: report.images,
    deleted_renditions: report.renditions,
    deleted_files: report.files,
    deleted_bytes: report.bytes,
    bytes_to_delete: report.bytesToDelete,
    remaining: report.remaining,
    errors: errorsOrNull(report.errors),
  };
}

function candidateRecord(candidate: PurgeCandidate): z.input<typeof candidateSchema> {
  const { id, uuid, tenant, contentHash, originalBytes, createdAt } = candidate;
  return {
    id,
    uuid,
    tenant,
    content_hash: contentHash,
    size_bytes: originalBytes,
    created_at: createdAt.toISOString(),
  };
}

function errorsOrNull(errors: readonly string[]): string[] | null {
  return errors.length === 0 ? null : [...errors];
}
