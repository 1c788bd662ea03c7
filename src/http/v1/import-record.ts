import { z } from 'zod';
import { familyOf } from '../../errors.ts';
import type { ImportLine, ImportReport } from '../../model/import.ts';
import { redactSecrets } from '../../model/redact-url.ts';
import type { ImportReceipt } from '../../services/ingest-urls.ts';
import { progressExample, receiptExample } from './examples.ts';

const lineSchema = z
  .object({
    line: z.int().describe('Place in the import, from 1.'),
    url: z.string().describe('Signatures and other secrets in it read `[hidden]`.'),
    tenant: z.string(),
    reference: z.string().nullable(),
    outcome: z
      .enum(['new', 'known', 'active', 'refused'])
      .describe('An image of its own, one that was there, one in work, or a refusal.'),
    image_id: z.int().nullable(),
    code: z.string().nullable(),
    family: z.string().nullable().describe('Family of the code, `picture_damaged` or none.'),
    error: z.string().nullable().describe('Why it came to nothing, as a sentence.'),
  })
  .meta({ id: 'ImportLine' });

/** Schema of the answer to an import. */
export const receiptSchema = z
  .object({
    id: z.int(),
    uuid: z.uuid(),
    created_at: z.iso.datetime(),
    total: z.int(),
    accepted: z.int(),
    refused: z.int(),
    lines: z.array(lineSchema),
    url: z.string().describe('Where its progress is.'),
  })
  .meta({ id: 'ImportReceipt', examples: [receiptExample] });

/** Schema of the progress of an import. */
export const progressSchema = z
  .object({
    id: z.int(),
    uuid: z.uuid(),
    created_at: z.iso.datetime(),
    finished: z.boolean().describe('No image is pending or in work any more.'),
    total: z.int(),
    refused: z.int(),
    images: z
      .object({ pending: z.int(), processing: z.int(), completed: z.int(), failed: z.int() })
      .describe('Lines that led to an image, by its status now.'),
    failures: z.array(lineSchema).describe('Lines that came to nothing: a page of them.'),
    failures_total: z.int(),
    limit: z.int(),
    offset: z.int(),
    url: z.string(),
  })
  .meta({ id: 'ImportProgress', examples: [progressExample] });

/** What an import of many URLs led to. */
export function receiptRecord(receipt: ImportReceipt): z.input<typeof receiptSchema> {
  const { id, uuid, createdAt, lines } = receipt;
  const refused = lines.filter(({ outcome }) => outcome === 'refused').length;
  return {
    id,
    uuid,
    created_at: createdAt.toISOString(),
    total: lines.length,
    accepted: lines.length - refused,
    refused,
    lines: lines.map(lineRecord),
    url: addressOf(id),
  };
}

/** How far an import is. */
export function progressRecord(
  report: ImportReport,
  page: { readonly limit: number; readonly offset: number },
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
    failures: failures.map(lineRecord),
    failures_total: failuresTotal,
    ...page,
    url: addressOf(id),
  };
}

function lineRecord(line: ImportLine): z.input<typeof lineSchema> {
  const { line: place, tenant, reference, outcome, imageId, code, error } = line;
  // Lines recorded by older versions are not shortened.
  const url = redactSecrets(line.url);
  const family = familyOf(code);
  return { line: place, url, tenant, reference, outcome, image_id: imageId, code, family, error };
}

function addressOf(id: number): string {
  return `/v1/imports/${id}`;
}
