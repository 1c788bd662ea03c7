import { z } from 'zod';
import { readConfirmTokens, rejectTokenInUrl } from '../guard/confirm-tokens.ts';
import { maxDays, tenantField, textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { responses, json } from '../openapi/responses.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import {
  toPurgeDeletedRecord,
  purgeDeletedSchema,
  toPurgeUnusedRecord,
  purgeUnusedSchema,
} from './purge-record.ts';

const dryRunField = z.boolean().default(true).describe('If `true`, only reports what would be removed.');
const confirmTokenField = textField(1_000).nullish();
const purgeUnusedBody = z.strictObject({
  dry_run: dryRunField,
  confirm_token: confirmTokenField.describe(
    'Value of `PURGE_CONFIRM_TOKEN`. Can be sent in the `X-Confirm-Token` header instead. Required unless `dry_run` is `true`.',
  ),
  tenant: tenantField
    .nullish()
    .describe('Tenant whose images are purged. Without this field, the images of all tenants are purged.'),
  min_age_days: z.int().min(0).max(maxDays).default(0).describe('Minimum age of the images, in days.'),
});
const purgeDeletedBody = z.strictObject({
  dry_run: dryRunField,
  confirm_token: confirmTokenField.describe(
    'Value of `PURGE_CONFIRM_TOKEN`. Can be sent in the `X-Confirm-Token` header instead. Required unless `dry_run` is `true`, `AUTH` is `keys`, or the server is reachable only from its own machine.',
  ),
  tenant: tenantField
    .nullish()
    .describe('Tenant whose images are purged. Without this field, the images of all tenants are purged.'),
  days: z
    .int()
    .min(0)
    .max(maxDays)
    .optional()
    .describe('Minimum number of days since deletion; default `PURGE_DAYS`.'),
});

/** Routes that remove images and their files. */
export const purgeRoutes: RoutePlugin = (app, { services, config }) => {
  const tags = ['Purge'];

  app.post(
    '/purge',
    {
      config: { access: 'purgeUnused', isIdempotent: true },
      onRequest: rejectTokenInUrl,
      schema: {
        tags,
        summary: 'Purge unused images',
        description:
          'Permanently removes unused images (images without references) and their files. The request is a dry run unless the body sets `dry_run` to `false`, which requires the confirmation token.',
        bodies: jsonBody(purgeUnusedBody),
        response: responses(
          { 200: json(purgeUnusedSchema, 'What was removed or, in a dry run, what would be removed.') },
          'invalid_request',
          'origin_not_allowed',
          'purge_refused',
          'tenant_not_found',
          'unsupported_body',
        ),
      },
    },
    async (request) => {
      const body = readJsonBody(request, purgeUnusedBody);
      const report = await services.purgeUnused(getPrincipal(request), {
        dryRun: body.dry_run,
        confirmTokens: readConfirmTokens(request, body.confirm_token),
        tenantName: body.tenant ?? undefined,
        minAgeDays: body.min_age_days,
      });
      return toPurgeUnusedRecord(report);
    },
  );

  app.post(
    '/purge/deleted',
    {
      config: { access: 'purgeDeleted', isIdempotent: true },
      onRequest: rejectTokenInUrl,
      schema: {
        tags,
        summary: 'Purge deleted images',
        description:
          'Permanently removes images that were deleted at least `days` days ago, together with their files. The request is a dry run unless the body sets `dry_run` to `false`. If the server is reachable from other machines, a purge that is not a dry run requires the confirmation token.',
        bodies: jsonBody(purgeDeletedBody),
        response: responses(
          { 200: json(purgeDeletedSchema, 'What was removed or, in a dry run, what would be removed.') },
          'invalid_request',
          'origin_not_allowed',
          'purge_refused',
          'tenant_not_found',
          'unsupported_body',
        ),
      },
    },
    async (request) => {
      const body = readJsonBody(request, purgeDeletedBody);
      const days = body.days ?? config.purge.days;
      const report = await services.purgeDeleted(getPrincipal(request), {
        dryRun: body.dry_run,
        confirmTokens: readConfirmTokens(request, body.confirm_token),
        tenantName: body.tenant ?? undefined,
        days,
      });
      return toPurgeDeletedRecord(report, days);
    },
  );
};
