import { type CsvError, parse } from 'csv-parse/sync';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { defaultTenant } from '../../model/tenant.ts';
import type { UrlToImport } from '../../services/ingest-urls.ts';
import { textField } from '../fields.ts';
import { bodyTypeOf, readJsonBody } from '../json-body.ts';
import type { TakenBodies } from '../openapi/bodies.ts';
import { readBy } from '../validation.ts';

/** Most lines of one import. */
const mostLines = 1_000;

// Lines are looked at one by one later: here only what no line could ever be is refused.
const url = textField(8_192).describe('Where the picture is: `http` or `https`.');
const tenant = textField(200).describe('Name of the tenant; that of the whole import if it is missing.');
const itemSchema = z.strictObject({
  url,
  tenant: tenant.optional(),
  reference: textField(1_000).optional().describe('Who uses the image.'),
});
const itemsSchema = z.array(itemSchema).min(1).max(mostLines);
const linesSchema = z.array(z.unknown()).min(1).max(mostLines);

const importBody = z
  .strictObject({
    urls: z.array(url).min(1).max(mostLines).optional(),
    items: itemsSchema
      .optional()
      .describe('In place of `urls`: each with a tenant and a reference of its own.'),
    tenant: tenant.optional().describe('Tenant of all lines that name none; `default` if it is missing.'),
  })
  .refine(({ urls, items }) => (urls === undefined) !== (items === undefined), {
    error: 'must have either "urls" or "items"',
  })
  .meta({ oneOf: [{ required: ['urls'] }, { required: ['items'] }] });

/** What `POST /v1/imports` takes. */
export const importBodies: TakenBodies = {
  'application/json': importBody,
  'text/csv': z.string().meta({
    description:
      'A header line with the columns `url`, `tenant` and `reference`, the last two optional, in any order; then a line for each picture.',
    examples: ['url,tenant,reference\nhttps://example.com/mug.jpg,my-shop,product-42\n'],
  }),
};

/** Lets requests carry CSV. */
export function acceptCsv(app: FastifyInstance): void {
  app.addContentTypeParser('text/csv', { parseAs: 'string' }, (_request, body, done) => done(null, body));
}

/** The lines of an import, from JSON or CSV. @throws {AppError} `invalid_request`, `unsupported_body` */
export function readImportLines(request: FastifyRequest): UrlToImport[] {
  if (bodyTypeOf(request) === 'text/csv') {
    const lines = parseCsv(typeof request.body === 'string' ? request.body : '');
    return readBy(linesSchema, lines, 'lines').map((line, index) =>
      toLine(readBy(itemSchema, line, `line ${index + 1}`)),
    );
  }
  const { urls, items, tenant } = readJsonBody(request, importBody);
  return (items ?? (urls ?? []).map((url) => ({ url }))).map((item) => toLine(item, tenant));
}

function toLine(item: z.output<typeof itemSchema>, tenant?: string): UrlToImport {
  return {
    url: item.url,
    tenantName: item.tenant ?? tenant ?? defaultTenant,
    ...(item.reference !== undefined && { reference: item.reference }),
  };
}

/** Lines by column. An empty cell is one that is not there. */
function parseCsv(text: string): Record<string, string>[] {
  const [header = ''] = text.split(/[\r\n]/, 1);
  try {
    return parse<Record<string, string>>(text, {
      bom: true,
      columns: (names: string[]) => names.map((name) => name.trim().toLowerCase()),
      // Spreadsheets of half of Europe write semicolons.
      delimiter: header.includes(';') && !header.includes(',') ? ';' : ',',
      skip_empty_lines: true,
      trim: true,
      to: mostLines + 1,
    }).map((line) => Object.fromEntries(Object.entries(line).filter(([, cell]) => cell !== '')));
  } catch (error) {
    const { message } = error as CsvError;
    throw new AppError('invalid_request', `The CSV cannot be read: ${message.replace(/\.?$/, '.')}`, {
      cause: error,
    });
  }
}
