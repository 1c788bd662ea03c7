import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { defaultTenant } from '../../model/tenant.ts';
import type { UrlToImport } from '../../services/ingest-urls.ts';
import { textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import type { RequestBodies } from '../openapi/bodies.ts';
import { bodyTypeOf, charsetOf } from '../bodies/body-type.ts';
import { readCsvLines } from './import-csv.ts';
import { toLine } from './import-line.ts';

/** Maximum lines of one import. */
const maxLines = 1_000;

const url = textField(8_192).describe('`http` or `https` URL of the image.');
const tenant = textField(200).describe('Name of the tenant; defaults to that of the import.');
const itemSchema = z.strictObject({
  url,
  tenant: tenant.optional(),
  reference: textField(1_000).optional().describe('Name of a user of the image.'),
});

function importBody<Url extends z.ZodType, Item extends z.ZodType>(oneUrl: Url, oneItem: Item) {
  return z
    .strictObject({
      urls: z.array(oneUrl).min(1).max(maxLines).optional(),
      items: z
        .array(oneItem)
        .min(1)
        .max(maxLines)
        .optional()
        .describe('Instead of `urls`: URLs with their own tenant and reference.'),
      tenant: tenant
        .optional()
        .describe(
          'Tenant of lines without one; defaults to the query parameter `tenant`, then to `default`.',
        ),
    })
    .refine(({ urls, items }) => (urls === undefined) !== (items === undefined), {
      error: 'must have either "urls" or "items"',
    })
    .meta({ oneOf: [{ required: ['urls'] }, { required: ['items'] }] });
}

// The document describes valid lines. The parser also accepts invalid ones, because each line is refused separately.
const documentedBody = importBody(url, itemSchema);
const acceptedBody = importBody(z.unknown(), z.unknown());

/** Bodies of `POST /v1/imports`. */
export const importBodies: RequestBodies = {
  'application/json': documentedBody,
  'text/csv': z.string().meta({
    description:
      'A header line with the columns `url`, `tenant` and `reference` in any order, the last two optional, then one line per image. Delimited by commas, semicolons or tabs. UTF-8, or the charset of the `Content-Type`.',
    examples: ['url,tenant,reference\nhttps://example.com/mug.jpg,my-shop,product-42\n'],
  }),
};

/** Accepts CSV bodies. */
export function acceptCsv(app: FastifyInstance): void {
  app.addContentTypeParser('text/csv', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/**
 * Returns the lines of an import from JSON or CSV; `tenantName` is the default for lines without one. The service refuses
 * invalid lines one by one.
 * @throws {AppError} `invalid_request`, `unsupported_body`
 */
export function readImportLines(request: FastifyRequest, tenantName = defaultTenant): UrlToImport[] {
  if (bodyTypeOf(request) === 'text/csv') {
    const charset = charsetOf(request);
    if (charset instanceof AppError) throw charset;
    const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return readCsvLines(bytes, charset, tenantName, maxLines);
  }
  const { urls, items, tenant } = readJsonBody(request, acceptedBody);
  const lines = items ?? (urls ?? []).map((entry) => ({ url: entry }));
  return lines.map((line) => toLine(line, tenant ?? tenantName));
}
