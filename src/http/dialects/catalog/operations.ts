import { z } from 'zod';
import { readConfirmTokens, rejectTokenInUrl } from '../../guard/confirm-tokens.ts';
import { maxDays, wholeNumberField } from '../../fields/fields.ts';
import { readJsonBody } from '../../bodies/json-body.ts';
import { responses, json } from '../../openapi/responses.ts';
import { jsonBody } from '../../openapi/bodies.ts';
import { getPrincipal } from '../../principal.ts';
import type { RoutePlugin } from '../../route-plugin.ts';
import { toPurgeRecord, purgeSchema, toTenantUsageRecord, tenantUsageSchema } from './records.ts';

const tenantParams = z.object({ tenant_name: z.string().describe('Name of a tenant.') });
const purgeQuery = z.object({
  dry_run: z.unknown().optional().meta({
    type: 'string',
    description: 'With `false`, assets are purged. With any other value, the request is a dry run.',
  }),
  days: wholeNumberField(
    0,
    maxDays,
    'Minimum number of days since deletion; default `PURGE_DAYS`.',
  ).optional(),
});
const purgeBody = z.looseObject({
  confirm_token: z
    .string()
    .nullish()
    .describe(
      'Value of `PURGE_CONFIRM_TOKEN`. Can be sent in the `X-Confirm-Token` header instead. Required unless the request is a dry run, `AUTH` is `keys`, or the server is reachable only from its own machine.',
    ),
});
const tags = ['Catalog dialect'];

/** Usage and purge routes of the catalog dialect, an API for clients of an older catalog service. */
export const catalogOperationRoutes: RoutePlugin = (app, { services, config }) => {
  app.get(
    '/metrics/tenant/:tenant_name',
    {
      config: { access: 'usage.tenant' },
      schema: {
        tags,
        summary: 'Get the usage of a tenant',
        description: "Counts the tenant's assets, renditions and bytes. Deleted assets are not counted.",
        params: tenantParams,
        response: responses(
          { 200: json(tenantUsageSchema, "The tenant's usage.") },
          'invalid_request',
          'tenant_not_found',
        ),
      },
    },
    async (request) =>
      toTenantUsageRecord(await services.usage.tenant(getPrincipal(request), request.params.tenant_name)),
  );

  app.post(
    '/purge',
    {
      config: { access: 'purgeDeleted', isIdempotent: true },
      onRequest: rejectTokenInUrl,
      schema: {
        tags,
        summary: 'Purge deleted assets',
        description:
          'The request is a dry run unless `dry_run` is `false`. The response counts renditions, not assets.',
        querystring: purgeQuery,
        bodies: jsonBody(purgeBody),
        response: responses(
          { 200: json(purgeSchema, 'What was removed or, in a dry run, what would be removed.') },
          'invalid_request',
          'origin_not_allowed',
          'purge_refused',
        ),
      },
    },
    async (request) => {
      const { dry_run, days = config.purge.days } = request.query;
      // Any value other than "false" means a dry run. Case is ignored, because Python clients send "False".
      const dryRun = !(typeof dry_run === 'string' && dry_run.toLowerCase() === 'false');
      const confirmTokens = readConfirmTokens(request, readJsonBody(request, purgeBody).confirm_token);
      const report = await services.purgeDeleted(getPrincipal(request), { dryRun, confirmTokens, days });
      return toPurgeRecord(report, days);
    },
  );
};
