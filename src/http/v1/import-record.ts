import { z } from 'zod';
import { errorFamily } from '../../errors.ts';
import type { ImportLine, ImportReport } from '../../model/import.ts';
import type { Principal } from '../../model/principal.ts';
import type { ImportReceipt } from '../../services/ingest-urls.ts';
import { progressExample, receiptExample } from './examples.ts';
import { showSource, sourceDescription } from './source.ts';

const lineSchema = z
  .object({
    line: z.int().describe('Position in the import, counted from 1.'),
    url: z.string().describe(sourceDescription),
    tenant: z.string(),
    reference: z.string().nullable(),
    outcome: z
      .enum(['new', 'known', 'active', 'refused'])
      .describe(
        '`new`: an image was created; `known`: the image already existed; `active`: an import of the URL is already in progress; `refused`: the line was rejected.',
      ),
    image_id: z.int().nullable(),
    code: z.string().nullable(),
    family: z
      .string()
      .nullable()
      .describe('`picture_damaged` if the image cannot be decoded; otherwise `null`.'),
    error: z.string().nullable().describe('Why the line was rejected, or why its image failed.'),
  })
  .meta({ id: 'ImportLine' });

/** Schema of the import response. */
export const receiptSchema = z
  .object({
    id: z.int(),
    uuid: z.uuid(),
    created_at: z.iso.datetime(),
    total: z.int(),
    accepted: z.int(),
    refused: z.int(),
    lines: z.array(lineSchema),
    url: z.string().describe("URL path of the import's progress."),
  })
  .meta({ id: 'ImportReceipt', examples: [receiptExample] });

/** Schema of an import's progress. */
export const progressSchema = z
  .object({
    id: z.int(),
    uuid: z.uuid(),
    created_at: z.iso.datetime(),
    finished: z.boolean().describe('`true` once no image is pending or being processed.'),
    total: z.int(),
    refused: z.int(),
    images: z
      .object({ pending: z.int(), processing: z.int(), completed: z.int(), failed: z.int() })
      .describe('Number of lines with an image, by the current status of the image.'),
    failures: z.array(lineSchema).describe('One page of the lines that were rejected or failed.'),
    failures_total: z.int(),
    limit: z.int(),
    offset: z.int(),
    url: z.string(),
  })
  .meta({ id: 'ImportProgress', examples: [progressExample] });

/** Converts an import receipt to JSON. */
export function toReceiptRecord(receipt: ImportReceipt, viewer: Principal): z.input<typeof receiptSchema> {
  const { id, uuid, createdAt, lines } = receipt;
  const refusedCount = lines.filter(({ outcome }) => outcome === 'refused').length;
  return {
    id,
    uuid,
    created_at: createdAt.toISOString(),
    total: lines.length,
    accepted: lines.length - refusedCount,
    refused: refusedCount,
    lines: lines.map((line) => toLineRecord(line, viewer)),
    url: getImportUrl(id),
  };
}

/** Converts an import's progress to JSON. */
export function toProgressRecord(
  report: ImportReport,
  page: { readonly limit: number; readonly offset: number },
  viewer: Principal,
): z.input<typeof progressSchema> {
  const { id, uuid, createdAt, total, refused, images, failures, failuresTotal } = report;
  const { pending, processing, completed, failed } = images;
  return {
    id,
    uuid,
    created_at: createdAt.toISOString(),
    finished: pending + processing === 0,
    total,
    refused,
    images: { pending, processing, completed, failed },
    failures: failures.map((line) => toLineRecord(line, viewer)),
    failures_total: failuresTotal,
    ...page,
    url: getImportUrl(id),
  };
}

function toLineRecord(line: ImportLine, viewer: Principal): z.input<typeof lineSchema> {
  const { line: position, tenant, reference, outcome, imageId, code } = line;
  const url = showSource(line.url, viewer);
  const error = line.error === null ? null : showSource(line.error, viewer);
  const family = errorFamily(code);
  return { line: position, url, tenant, reference, outcome, image_id: imageId, code, family, error };
}

function getImportUrl(id: number): string {
  return `/v1/imports/${id}`;
}
