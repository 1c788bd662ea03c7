import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { UrlToImport } from '../../services/ingest-urls.ts';
import { textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import type { RequestBodies } from '../openapi/bodies.ts';
import { readBodyType, readCharset } from '../bodies/body-type.ts';
import { readCsvLines } from './import-csv.ts';
import { toImportLine } from './import-line.ts';

/** Maximum number of lines in an import. */
const maxLines = 1_000;

const urlField = textField(8_192).describe('`http` or `https` URL of the image.');
const tenantField = textField(200).describe("Name of the tenant; defaults to the import's tenant.");
const validItem = z.strictObject({
  url: urlField,
  tenant: tenantField.optional(),
  reference: textField(1_000)
    .optional()
    .describe('Identifies what uses the image, for example `product-42` for a product.'),
});

function makeImportBody<Url extends z.ZodType, Item extends z.ZodType>(urlSchema: Url, itemSchema: Item) {
  return z
    .strictObject({
      urls: z.array(urlSchema).min(1).max(maxLines).optional(),
      items: z
        .array(itemSchema)
        .min(1)
        .max(maxLines)
        .optional()
        .describe('URLs with their own tenant and reference, as an alternative to `urls`.'),
      tenant: tenantField
        .optional()
        .describe(
          'Tenant for lines without a tenant; defaults to the query parameter `tenant`, then to the tenant of the API key, then to `default`.',
        ),
    })
    .refine(({ urls, items }) => (urls === undefined) !== (items === undefined), {
      error: 'must have either "urls" or "items"',
    })
    .meta({ oneOf: [{ required: ['urls'] }, { required: ['items'] }] });
}

// The OpenAPI document describes only valid lines. The parser also accepts invalid lines, because they are rejected
// individually later.
const validBody = makeImportBody(urlField, validItem);
const lenientBody = makeImportBody(z.unknown(), z.unknown());

/** Request bodies of `POST /v1/imports`. */
export const importBodies: RequestBodies = {
  'application/json': validBody,
  'text/csv': z.string().meta({
    description:
      'A header line, followed by one line per image. The columns are `url` and optionally `tenant` and `reference`, in any order. The delimiter is a comma, a semicolon or a tab. The charset is UTF-8 unless `Content-Type` declares a different charset.',
    examples: ['url,tenant,reference\nhttps://example.com/mug.jpg,my-shop,product-42\n'],
  }),
};

/** Makes Fastify pass CSV bodies to routes as bytes. */
export function acceptCsv(app: FastifyInstance): void {
  app.addContentTypeParser('text/csv', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/**
 * Reads the lines of an import from a JSON or CSV body. `tenantName` is the default for lines without a tenant. The
 * result includes invalid lines, which the import service rejects individually.
 * @throws {AppError} `invalid_request`, `unsupported_body`
 */
export function readImportLines(request: FastifyRequest, tenantName?: string): UrlToImport[] {
  if (readBodyType(request) === 'text/csv') {
    const charset = readCharset(request);
    if (charset instanceof AppError) throw charset;
    const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return readCsvLines(bytes, charset, tenantName, maxLines);
  }
  const { urls, items, tenant } = readJsonBody(request, lenientBody);
  const lines = items ?? (urls ?? []).map((entry) => ({ url: entry }));
  return lines.map((line) => toImportLine(line, tenant ?? tenantName));
}
