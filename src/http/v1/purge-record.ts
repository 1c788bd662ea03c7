import { z } from 'zod';
import type { PurgeCandidate } from '../../model/purge.ts';
import type { PurgeDeletedReport } from '../../services/purge/purge-deleted.ts';
import type { PurgeUnusedReport } from '../../services/purge/purge-unused.ts';
import { purgeUnusedExample } from './examples.ts';

const errorsField = z
  .array(z.string())
  .nullable()
  .describe('One message for each image or file that could not be removed; `null` if there were no errors.');
const remainingField = z
  .int()
  .describe(
    'Number of candidates left when the request reached its time limit. Repeat the request to continue.',
  );

const candidateSchema = z.object({
  id: z.int(),
  uuid: z.uuid(),
  tenant: z.string(),
  content_hash: z.string().nullable().describe('`null` if the image never had an original.'),
  size_bytes: z.int(),
  created_at: z.iso.datetime(),
});

/** Schema of the report for a purge of unused images. */
export const purgeUnusedSchema = z
  .object({
    dry_run: z.boolean(),
    candidates: z.array(z.string()).describe('Content hashes of unused images; at most 1,000.'),
    candidates_total: z.int(),
    deleted_count: z.int().describe('Number of purged images; 0 in a dry run.'),
    deleted_bytes: z.int(),
    deleted_files: z.int(),
    remaining: remainingField,
    images: z.array(candidateSchema).describe('Details of the candidates.'),
    warnings: z.array(z.string()).describe('Warnings, for example that a tenant has never used references.'),
    errors: errorsField,
  })
  .meta({ examples: [purgeUnusedExample] });

/** Schema of the report for a purge of deleted images. */
export const purgeDeletedSchema = z.object({
  dry_run: z.boolean(),
  days: z.int(),
  cutoff_date: z.iso.datetime().describe('Images deleted before this time are purged.'),
  images_to_delete: z.int(),
  renditions_found: z
    .int()
    .describe(
      'Number of renditions older than the cutoff, including renditions of images that are not deleted.',
    ),
  renditions_to_delete: z
    .int()
    .describe('How many of the renditions in `renditions_found` belong to deleted images.'),
  deleted_count: z.int().describe('Number of purged images; 0 in a dry run.'),
  deleted_renditions: z.int(),
  deleted_files: z.int(),
  deleted_bytes: z.int().describe('Number of freed bytes; 0 in a dry run.'),
  bytes_to_delete: z
    .int()
    .describe(
      'Number of bytes that purging all images counted in `images_to_delete` would free, calculated before the purge.',
    ),
  remaining: remainingField,
  errors: errorsField,
});

/** Converts the report for a purge of unused images to JSON. */
export function toPurgeUnusedRecord(report: PurgeUnusedReport): z.input<typeof purgeUnusedSchema> {
  return {
    dry_run: report.dryRun,
    candidates: report.candidates.map(({ contentHash }) => contentHash).filter((hash) => hash !== null),
    candidates_total: report.candidatesTotal,
    deleted_count: report.images,
    deleted_bytes: report.bytes,
    deleted_files: report.files,
    remaining: report.remaining,
    images: report.candidates.map(toCandidateRecord),
    warnings: [...report.warnings],
    errors: nullIfEmpty(report.errors),
  };
}

/** Converts the report for a purge of deleted images to JSON. */
export function toPurgeDeletedRecord(
  report: PurgeDeletedReport,
  days: number,
): z.input<typeof purgeDeletedSchema> {
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
    errors: nullIfEmpty(report.errors),
  };
}

function toCandidateRecord(candidate: PurgeCandidate): z.input<typeof candidateSchema> {
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

function nullIfEmpty(errors: readonly string[]): string[] | null {
  return errors.length === 0 ? null : [...errors];
}
