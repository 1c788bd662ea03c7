import { z } from 'zod';
import { parseImageReference, referenceForm } from '../../model/image.ts';
import { offsetPageFields, tenantField } from '../fields.ts';
import { answers, json } from '../openapi/answers.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import { acceptCsv, importBodies, readImportLines } from './import-body.ts';
import { progressRecord, progressSchema, receiptRecord, receiptSchema } from './import-record.ts';

/** Failures of an answer where the address names no number. */
const pageSize = 100;

const importQuery = z.strictObject({
  tenant: tenantField.optional().describe('Tenant of all lines that name none; `default` if it is missing.'),
});

const importReference = z
  .string()
  .transform((text, context) => {
    // Spelled like the reference of an image: a number or a UUID.
    const reference = parseImageReference(text);
    if (reference) return reference;
    context.addIssue({ code: 'custom', message: "is neither an import's number nor its UUID" });
    return z.NEVER;
  })
  .meta({ pattern: referenceForm, description: 'Number or UUID of an import.' });

/** `/v1/imports`: many URLs at once. */
export const importRoutes: Surface = (app, { services }) => {
  const tags = ['Imports'];
  acceptCsv(app);

  app.post(
    '/imports',
    {
      schema: {
        tags,
        summary: 'Import 1 to 1,000 URLs',
        description: 'A bad line is refused by itself, with its reason; the others go on.',
        querystring: importQuery,
        takes: importBodies,
        response: answers(
          { 202: json(receiptSchema, 'Taken in; workers fetch the pictures.') },
          'invalid_request',
          'body_too_large',
          'unsupported_body',
          'storage_full',
        ),
      },
    },
    async (request, reply) => {
      const lines = readImportLines(request, request.query.tenant);
      const receipt = await services.ingestUrls.many(principalOf(request), lines);
      const record = receiptRecord(receipt);
      return reply.code(202).header('location', record.url).send(record);
    },
  );

  app.get(
    '/imports/:id',
    {
      schema: {
        tags,
        summary: 'Progress of an import',
        description: 'Counts what has become of its lines so far, and lists those that came to nothing.',
        params: z.object({ id: importReference }),
        querystring: z.strictObject(offsetPageFields(pageSize, 1_000)),
        response: answers(
          { 200: json(progressSchema, 'Counts, and a page of the failures.') },
          'invalid_request',
          'import_not_found',
        ),
      },
    },
    async (request) => {
      const { id } = request.params;
      const page = { limit: request.query.limit ?? pageSize, offset: request.query.offset ?? 0 };
      return progressRecord(await services.findImport(principalOf(request), id, page), page);
    },
  );
};
