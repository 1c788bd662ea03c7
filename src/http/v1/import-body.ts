import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { defaultTenant } from '../../model/tenant.ts';
import type { UrlToImport } from '../../services/ingest-urls.ts';
import { textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import type { TakenBodies } from '../openapi/bodies.ts';
import { bodyTypeOf, charsetOf } from '../bodies/body-type.ts';
import { readCsvLines } from './import-csv.ts';
import { toLine } from './import-line.ts';

/** Most lines of one import. */
const maxLines = 1_000;

const url = textField(8_192).describe('Where the picture is: `http` or `https`.');
const tenant = textField(200).describe('Name of the tenant; that of the whole import if it is missing.');
const itemSchema = z.strictObject({
  url,
  tenant: tenant.optional(),
  reference: textField(1_000).optional().describe('Who uses the image.'),
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
        .describe('In place of `urls`: each with a tenant and a reference of its own.'),
      tenant: tenant
        .optional()
        .describe('Tenant of all lines that name none; that of the address, or `default`, if it is missing.'),
    })
    .refine(({ urls, items }) => (urls === undefined) !== (items === undefined), {
      error: 'must have either "urls" or "items"',
    })
    .meta({ oneOf: [{ required: ['urls'] }, { required: ['items'] }] });
}

// What is documented is what good lines are; read are bad ones too, because each is refused by itself.
const documentedBody = importBody(url, itemSchema);
const readBody = importBody(z.unknown(), z.unknown());

/** What `POST /v1/imports` takes. */
export const importBodies: TakenBodies = {
  'application/json': documentedBody,
  'text/csv': z.string().meta({
    description:
      'A header line with the columns `url`, `tenant` and `reference`, the last two optional, in any order; then a line for each picture. Commas, semicolons or tabs. UTF-8, or the charset of the `Content-Type`.',
    examples: ['url,tenant,reference\nhttps://example.com/mug.jpg,my-shop,product-42\n'],
  }),
};

/** Lets requests carry CSV. */
export function acceptCsv(app: FastifyInstance): void {
  app.addContentTypeParser('text/csv', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/**
 * The lines of an import, from JSON or CSV; `tenantName` is that of lines that name none. A bad line is left to the
 * service, which refuses it alone.
 * @throws {AppError} `invalid_request`, `unsupported_body`
 */
export function readImportLines(request: FastifyRequest, tenantName = defaultTenant): UrlToImport[] {
  if (bodyTypeOf(request) === 'text/csv') {
    const charset = charsetOf(request);
    if (charset instanceof AppError) throw charset;
    const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return readCsvLines(bytes, charset, tenantName, maxLines);
  }
  const { urls, items, tenant } = readJsonBody(request, readBody);
  const lines = items ?? (urls ?? []).map((one) => ({ url: one }));
  return lines.map((line) => toLine(line, tenant ?? tenantName));
}
