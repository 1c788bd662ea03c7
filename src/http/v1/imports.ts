import { z } from 'zod';
import { parseIdOrUuid, idOrUuidPattern } from '../../model/image.ts';
import { tenantField } from '../fields/fields.ts';
import { offsetPageFields } from '../fields/pages.ts';
import { responses, json } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { acceptCsv, importBodies, readImportLines } from './import-body.ts';
import { toProgressRecord, progressSchema, toReceiptRecord, receiptSchema } from './import-record.ts';

/** Default number of failures per response. */
const pageSize = 100;

const importQuery = z.strictObject({
  tenant: tenantField
    .optional()
    .describe('Tenant of lines without one; defaults to the tenant of the API key, then to `default`.'),
});

const importRefField = z
  .string()
  .transform((text, context) => {
    // Imports are identified like images, by id or UUID.
    const ref = parseIdOrUuid(text);
    if (ref) return ref;
    context.addIssue({ code: 'custom', message: 'is neither an import id nor a UUID' });
    return z.NEVER;
  })
  .meta({ pattern: idOrUuidPattern, description: 'Id or UUID of an import.' });

/** Routes that import many URLs at once and report the progress. */
export const importRoutes: RoutePlugin = (app, { services }) => {
  const tags = ['Imports'];
  acceptCsv(app);

  app.post(
    '/imports',
    {
      config: { access: 'ingestUrls.many', isIdempotent: true, underLoad: 'import' },
      schema: {
        tags,
        summary: 'Import 1 to 1,000 URLs',
        description: 'An invalid line is rejected with a reason and does not affect other lines.',
        querystring: importQuery,
        bodies: importBodies,
        response: responses(
          { 202: json(receiptSchema, 'Accepted; workers download the images.') },
          'invalid_request',
          'body_too_large',
          'unsupported_body',
          'overloaded',
          'storage_full',
        ),
      },
    },
    async (request, reply) => {
      const lines = readImportLines(request, request.query.tenant);
      const principal = getPrincipal(request);
      const record = toReceiptRecord(await services.ingestUrls.many(principal, lines), principal);
      return reply.code(202).header('location', record.url).send(record);
    },
  );

  app.get(
    '/imports/:id',
    {
      config: { access: 'findImport' },
      schema: {
        tags,
        summary: 'Get the progress of an import',
        description: 'Counts the images by status, and lists the lines that were rejected or failed.',
        params: z.object({ id: importRefField }),
        querystring: z.strictObject(offsetPageFields(pageSize, 1_000)),
        response: responses(
          { 200: json(progressSchema, 'Counts and one page of failures.') },
          'invalid_request',
          'import_not_found',
        ),
      },
    },
    async (request) => {
      const { id } = request.params;
      const page = { limit: request.query.limit ?? pageSize, offset: request.query.offset ?? 0 };
      const principal = getPrincipal(request);
      return toProgressRecord(await services.findImport(principal, id, page), page, principal);
    },
  );
};
