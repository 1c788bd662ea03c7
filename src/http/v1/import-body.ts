import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { defaultTenant } from '../../model/tenant.ts';
import type { UrlToImport } from '../../services/ingest-urls.ts';
import { textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import type { RequestBodies } from '../openapi/bodies.ts';
import { readBodyType, readCharset } from '../bodies/body-type.ts';
import { readCsvLines } from './import-csv.ts';
import { toLine } from './import-line.ts';

/** Maximum number of lines in an import. */
const maxLines = 1_000;

const url = textField(8_192).describe('`http` or `https` URL of the image.');
const tenant = textField(200).describe('Name of the tenant; defaults to that of the import.');
const documentedItem = z.strictObject({
  url,
  tenant: tenant.optional(),
  reference: textField(1_000).optional().describe('Name of a user of the image.'),
});

function importBody<Url extends z.ZodType, Item extends z.ZodType>(urlSchema: Url, itemSchema: Item) {
  return z
    .strictObject({
      urls: z.array(urlSchema).min(1).max(maxLines).optional(),
      items: z
        .array(itemSchema)
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

// The OpenAPI document describes valid lines. The parser also accepts invalid ones, because each is refused separately.
const documentedBody = importBody(url, documentedItem);
const acceptedBody = importBody(z.unknown(), z.unknown());

/** Request bodies of `POST /v1/imports`. */
export const importBodies: RequestBodies = {
  'application/json': documentedBody,
  'text/csv': z.string().meta({
    description:
      'A header line with the columns `url`, `tenant` and `reference` in any order, the last two optional, then one line per image. Delimited by commas, semicolons or tabs. UTF-8, or the charset of the `Content-Type`.',
    examples: ['url,tenant,reference\nhttps://example.com/mug.jpg,my-shop,product-42\n'],
  }),
};

/** Makes Fastify pass CSV bodies on as bytes. */
export function acceptCsv(app: FastifyInstance): void {
  app.addContentTypeParser('text/csv', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/**
 * Reads the lines of an import from a JSON or CSV body. `tenantName` is the default for lines that name no tenant. The
 * service refuses invalid lines individually.
 * @throws {AppError} `invalid_request`, `unsupported_body`
 */
export function readImportLines(request: FastifyRequest, tenantName = defaultTenant): UrlToImport[] {
  if (readBodyType(request) === 'text/csv') {
    const charset = readCharset(request);
    if (charset instanceof AppError) throw charset;
    const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return readCsvLines(bytes, charset, tenantName, maxLines);
  }
  const { urls, items, tenant } = readJsonBody(request, acceptedBody);
  const lines = items ?? (urls ?? []).map((entry) => ({ url: entry }));
  return lines.map((line) => toLine(line, tenant ?? tenantName));
}
