import { z } from 'zod';
import { confirmTokensOf, refuseTokenInUrl } from '../../guard/confirm-tokens.ts';
import { maxDays, wholeNumberField } from '../../fields/fields.ts';
import { readJsonBody } from '../../bodies/json-body.ts';
import { responses, json } from '../../openapi/responses.ts';
import { jsonBody } from '../../openapi/bodies.ts';
import { principalOf } from '../../principal.ts';
import type { Surface } from '../../surface.ts';
import { purgeRecord, purgeSchema, tenantUsageRecord, tenantUsageSchema } from './records.ts';

const tenantParams = z.object({ tenant_name: z.string().describe('Name of a tenant.') });
const purgeQuery = z.object({
  dry_run: z
    .unknown()
    .optional()
    .meta({ type: 'string', description: '`false` purges; any other value is a dry run.' }),
  days: wholeNumberField(
    0,
    maxDays,
    'Minimum number of days since the deletion; default `PURGE_DAYS`.',
  ).optional(),
});
const purgeBody = z.looseObject({
  confirm_token: z
    .string()
    .nullish()
    .describe(
      '`PURGE_CONFIRM_TOKEN`; or send it in the header `X-Confirm-Token`. Required unless it is a dry run or only this machine can reach the server.',
    ),
});
const tags = ['Catalog dialect'];

/** Routes of usage and purge in the catalog dialect. */
export const catalogOperationRoutes: Surface = (app, { services, config }) => {
  app.get(
    '/metrics/tenant/:tenant_name',
    {
      schema: {
        tags,
        summary: 'Get the usage of a tenant',
        description: 'Counts its assets, renditions and bytes. Deleted assets are not counted.',
        params: tenantParams,
        response: responses(
          { 200: json(tenantUsageSchema, 'Usage of the tenant.') },
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
      onRequest: refuseTokenInUrl,
      schema: {
        tags,
        summary: 'Purge deleted assets',
        description: 'A dry run unless `dry_run=false`. Counts renditions, not assets.',
        querystring: purgeQuery,
        bodies: jsonBody(purgeBody),
        response: responses(
          { 200: json(purgeSchema, 'What was removed, or would be removed.') },
          'invalid_request',
          'origin_not_allowed',
          'purge_refused',
        ),
      },
    },
    async (request) => {
      const { dry_run, days = config.purge.days } = request.query;
      // Any value other than "false" is a dry run. Python clients send "False".
      const dryRun = !(typeof dry_run === 'string' && dry_run.toLowerCase() === 'false');
      const confirmTokens = confirmTokensOf(request, readJsonBody(request, purgeBody).confirm_token);
      const purge = { dryRun, confirmTokens, days };
      return purgeRecord(await services.purgeDeleted(principalOf(request), purge), days);
    },
  );
};
