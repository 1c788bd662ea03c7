import { Readable } from 'node:stream';
import { z } from 'zod';
import type { AuditFilter } from '../../db/audit.ts';
import { AppError } from '../../errors.ts';
import { auditActions } from '../../model/audit.ts';
import { toEntryLines, toEntryRecord, toVerificationJson } from '../../services/audit/audit-json.ts';
import { tenantField, textField, timeField } from '../fields/fields.ts';
import { pageFields, pageSchema, toPageRecord, toPageRequest } from '../fields/pages.ts';
import { json, ndjson, responses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { entrySchema, verificationSchema } from './audit-record.ts';

/** Default page size. */
const pageSize = 100;

/** Batches of lines that a stream reads ahead. Each of them has up to 1,000 lines. */
const readAhead = { highWaterMark: 1 };

const filterFields = {
  tenant: tenantField.optional(),
  actor: textField(200)
    .optional()
    .describe(
      'Id or name of an API key, or the actor of actions without one, such as `open` or `system`. A key with a tenant finds by name only keys of this tenant.',
    ),
  action: z.enum(auditActions).optional(),
  target: textField(200).optional().describe('UUID of an image, or id of a key.'),
  since: timeField.optional().describe('Earliest time (inclusive), with a time zone.'),
  until: timeField.optional().describe('Latest time (exclusive), with a time zone.'),
};
const exportQuery = z.strictObject(filterFields);
const listQuery = z.strictObject({ ...filterFields, ...pageFields(pageSize, 1_000) });
const verificationQuery = z.strictObject({ tenant: tenantField.optional() });

const tags = ['Access'];

/** Routes that read and verify the audit log. */
export const auditRoutes: RoutePlugin = (app, { services: { audit } }) => {
  const runs = makeSingleRuns();
  app.get(
    '/audit',
    {
      config: { access: 'audit.list' },
      schema: {
        tags,
        summary: 'List the audit log, newest first',
        description: 'Shows who did what to which image or key. A key with a tenant sees only this tenant.',
        querystring: listQuery,
        response: responses(
          { 200: json(pageSchema(entrySchema), 'One page.') },
          'invalid_request',
          'tenant_not_allowed',
          'tenant_not_found',
        ),
      },
    },
    async (request) => {
      const page = toPageRequest(request.query, pageSize);
      const entries = await audit.list(getPrincipal(request), toFilter(request.query), page);
      return toPageRecord(entries, page, toEntryRecord);
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
          {
            200: {
              description: 'The entries. The schema is that of one line.',
              content: ndjson(entrySchema),
            },
          },
          'invalid_request',
          'tenant_not_allowed',
          'tenant_not_found',
        ),
      },
    },
    async (request, reply) => {
      // Checks the filter, but reads no entries yet.
      const batches = await audit.export(getPrincipal(request), toFilter(request.query));
      void reply.header('content-type', 'application/x-ndjson');
      // Fastify would read the whole stream to discard it.
      if (request.method === 'HEAD') return reply.send();
      return reply.send(Readable.from(toEntryLines(batches), readAhead));
    },
  );

  app.get(
    '/audit/verification',
    {
      config: { access: 'audit.verify' },
      schema: {
        tags,
        summary: 'Verify the audit log',
        description:
          'Recomputes the hash chains and reports the first entry of each chain that was changed or removed. Reads the whole log, so it may take minutes; the response is sent while the log is read. One verification runs at a time for each tenant.',
        querystring: verificationQuery,
        response: responses(
          { 200: json(verificationSchema, 'The result.') },
          'invalid_request',
          'tenant_not_allowed',
          'tenant_not_found',
          'overloaded',
        ),
      },
    },
    async (request, reply) => {
      const principal = getPrincipal(request);
      // Checks the filter, but verifies nothing yet.
      const events = await audit.verify(principal, request.query.tenant);
      void reply.header('content-type', 'application/json; charset=utf-8');
      if (request.method === 'HEAD') return reply.send();
      const end = runs.begin(principal.tenantId);
      // Emitted after the response, and when the client closes the connection.
      reply.raw.once('close', end);
      if (reply.raw.closed) end();
      return reply.send(Readable.from(toVerificationJson(events), readAhead));
    },
  );
};

function toFilter({ since, until, ...filter }: z.output<typeof exportQuery>): AuditFilter {
  const { tenant, actor, action, target } = filter;
  return { tenant, actor, action, target, since: toDate(since), until: toDate(until) };
}

function toDate(time: string | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}

/** Time after which a refused verification can be requested again. */
const retryAfterSeconds = 10;

/** Allows one verification at a time per tenant, because each reads the whole log; `null` stands for all tenants. */
function makeSingleRuns() {
  const running = new Set<number | null>();
  return {
    /** Returns a function that ends the run. @throws {AppError} `overloaded` if there is one already. */
    begin(tenantId: number | null): () => void {
      if (running.has(tenantId))
        throw new AppError(
          'overloaded',
          `A verification of the audit log is already running for this tenant, and 1 may run at a time; try again in ${retryAfterSeconds} seconds.`,
          { retryAfterSeconds },
        );
      running.add(tenantId);
      return () => running.delete(tenantId);
    },
  };
}
