import { z } from 'zod';
import { confirmTokensOf, refuseTokenInAddress } from '../../confirm-tokens.ts';
import { maxDays, wholeNumberField } from '../../fields.ts';
import { isHealthy } from '../../health.ts';
import { readJsonBody } from '../../json-body.ts';
import { answers, json, text } from '../../openapi/answers.ts';
import { jsonBody } from '../../openapi/bodies.ts';
import { principalOf } from '../../principal.ts';
import { replyMetricsText, wantsMetricsText } from '../../prometheus.ts';
import type { Surface } from '../../surface.ts';
import {
  purgeRecord,
  purgeSchema,
  tenantRecord,
  tenantSchema,
  tenantUsageRecord,
  tenantUsageSchema,
} from './records.ts';

const tenantParams = z.object({ tenant_name: z.string().describe('Name of a tenant.') });
const purgeQuery = z.object({
  dry_run: z
    .unknown()
    .optional()
    .meta({ type: 'string', description: '`true` unless it is `false`: only tells what would go.' }),
  days: wholeNumberField(
    0,
    maxDays,
    'Deleted at least this long ago; `PURGE_DAYS` if it is missing.',
  ).optional(),
});
const purgeBody = z.looseObject({
  confirm_token: z
    .string()
    .nullish()
    .describe(
      '`PURGE_CONFIRM_TOKEN`, also as the header `X-Confirm-Token`. Needed unless it is a dry run, once others than this machine reach the server.',
    ),
});
const healthSchema = z.looseObject({
  status: z.enum(['healthy', 'unhealthy']),
  warnings: z
    .record(z.string(), z.string())
    .optional()
    .describe('What does not work, by its name, though requests are served all the same.'),
});
const tags = ['Catalog dialect'];

/** Figures, purge and health in the catalog dialect. */
export const catalogOperationRoutes: Surface = (app, { services, metrics, config }) => {
  app.get(
    '/metrics',
    {
      schema: {
        tags,
        summary: 'Usage of every tenant; or figures for Prometheus, by `Accept`',
        description:
          '`Accept: text/plain` or `application/openmetrics-text` before all else gives the figures of the process for Prometheus.',
        response: answers({
          200: {
            description: 'Usage of every tenant.',
            content: {
              'application/json': { schema: z.object({ tenants: z.array(tenantSchema) }) },
              ...text('text/plain'),
            },
          },
        }),
      },
    },
    async (request, reply) => {
      void reply.header('vary', [reply.getHeader('vary'), 'Accept'].filter(Boolean).join(', '));
      if (wantsMetricsText(request)) return replyMetricsText(reply, metrics);
      return { tenants: (await services.usage.tenants(principalOf(request))).map(tenantRecord) };
    },
  );

  app.get(
    '/metrics/tenant/:tenant_name',
    {
      schema: {
        tags,
        summary: 'Usage of one tenant',
        description: 'Its assets, renditions and bytes. Deleted ones do not count.',
        params: tenantParams,
        response: answers(
          { 200: json(tenantUsageSchema, 'Its usage.') },
          'invalid_request',
          'tenant_not_found',
        ),
      },
    },
    async (request) =>
      tenantUsageRecord(await services.usage.tenant(principalOf(request), request.params.tenant_name)),
  );

  app.post(
    '/purge',
    {
      onRequest: refuseTokenInAddress,
      schema: {
        tags,
        summary: 'Remove assets that were deleted long enough ago',
        description: 'A dry run unless `dry_run=false`. Counts renditions, not assets.',
        querystring: purgeQuery,
        takes: jsonBody(purgeBody),
        response: answers(
          { 200: json(purgeSchema, 'What would go, or went.') },
          'invalid_request',
          'origin_not_allowed',
          'purge_refused',
        ),
      },
    },
    async (request) => {
      const { dry_run, days = config.purge.days } = request.query;
      // Whatever is not plainly a "no" removes nothing. Python writes it with a capital letter.
      const dryRun = !(typeof dry_run === 'string' && dry_run.toLowerCase() === 'false');
      const confirmTokens = confirmTokensOf(request, readJsonBody(request, purgeBody).confirm_token);
      const purge = { dryRun, confirmTokens, days };
      return purgeRecord(await services.purgeDeleted(principalOf(request), purge), days);
    },
  );

  app.get(
    '/healthz',
    {
      schema: {
        tags: ['Health'],
        summary: 'Health',
        response: answers({
          200: json(healthSchema, 'All checks passed.'),
          503: json(healthSchema, 'Names the checks that failed, each with its reason.'),
        }),
      },
    },
    async (_request, reply) => {
      const checks = await services.checkHealth.ready();
      const warned = checks.filter(({ warning }) => warning !== undefined);
      const warnings = Object.fromEntries(warned.map(({ name, warning = '' }) => [name, warning]));
      const more = warned.length > 0 ? { warnings } : {};
      if (isHealthy(checks)) return { status: 'healthy', ...more };
      const failed = checks.filter(({ error }) => error !== undefined);
      const reasons = Object.fromEntries(failed.map(({ name, error }) => [name, error]));
      return reply.code(503).send({ status: 'unhealthy', ...reasons, ...more });
    },
  );
};
