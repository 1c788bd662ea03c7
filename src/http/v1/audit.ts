import { Readable } from 'node:stream';
import { z } from 'zod';
import { auditActions, type AuditEntry } from '../../model/audit.ts';
import { tenantField, textField } from '../fields/fields.ts';
import { pageFields, pageSchema, toPageRecord, toPageRequest } from '../fields/pages.ts';
import { json, responses, text } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';

/** Default page size. */
const pageSize = 100;

const filterFields = {
  tenant: tenantField.optional(),
  action: z.enum(auditActions).optional(),
  target: textField(200).optional().describe('UUID of an image, id of a key, or name of a tenant.'),
};
const listQuery = z.strictObject({ ...filterFields, ...pageFields(pageSize, 1_000) });
const exportQuery = z.strictObject(filterFields);

const entrySchema = z
  .object({
    id: z.int(),
    at: z.iso.datetime(),
    tenant: z.string().nullable().describe('`null` for actions on the whole installation.'),
    actor: z.string(),
    key_id: z.string().nullable().describe('Id of the API key of the actor.'),
    action: z.string().describe('`resource.verb`, such as `image.delete`.'),
    target: z.string().nullable().describe('The image (UUID), key or tenant that was acted on.'),
    details: z.record(z.string(), z.unknown()),
    position: z
      .int()
      .nullable()
      .describe("Place in the tenant's hash chain; `null` until the entry is sealed, within a second."),
  })
  .meta({ id: 'AuditEntry' });

/** Routes that read the audit log. */
export const auditRoutes: RoutePlugin = (app, { services: { audit } }) => {
  const tags = ['Access'];

  app.get(
    '/audit',
    {
      config: { access: 'audit.list' },
      schema: {
        tags,
        summary: 'List the audit log, newest first',
        description:
          'Shows who did what to which image, key or tenant. A key with a tenant sees only this tenant.',
        querystring: listQuery,
        response: responses(
          { 200: json(pageSchema(entrySchema), 'One page.') },
          'invalid_request',
          'tenant_not_allowed',
        ),
      },
    },
    async (request) => {
      const page = toPageRequest(request.query, pageSize);
      const { tenant, action, target } = request.query;
      const entries = await audit.list(getPrincipal(request), { tenant, action, target }, page);
      return toPageRecord(entries, page, toRecord);
    },
  );

  app.get(
    '/audit/export',
    {
      config: { access: 'audit.export' },
      schema: {
        tags,
        summary: 'Export the audit log, oldest first',
        description: 'One JSON object per line (NDJSON), with the same fields as in the list.',
        querystring: exportQuery,
        response: responses(
          { 200: { description: 'The entries.', content: text('application/x-ndjson') } },
          'invalid_request',
          'tenant_not_allowed',
        ),
      },
    },
    (request, reply) => {
      const { tenant, action, target } = request.query;
      const batches = audit.export(getPrincipal(request), { tenant, action, target });
      return reply.header('content-type', 'application/x-ndjson').send(Readable.from(toLines(batches)));
    },
  );
};

async function* toLines(batches: AsyncIterable<readonly AuditEntry[]>): AsyncGenerator<string> {
  for await (const entries of batches)
    yield entries.map((entry) => `${JSON.stringify(toRecord(entry))}\n`).join('');
}

function toRecord({ at, keyId, details, ...entry }: AuditEntry): z.input<typeof entrySchema> {
  return { ...entry, at: at.toISOString(), key_id: keyId, details: { ...details } };
}
