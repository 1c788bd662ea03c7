import { z } from 'zod';
import { confirmTokensOf, refuseTokenInUrl } from '../guard/confirm-tokens.ts';
import { maxDays, tenantField, textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { responses, json } from '../openapi/responses.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import {
  deletedPurgeRecord,
  deletedPurgeSchema,
  unusedPurgeRecord,
  unusedPurgeSchema,
} from './purge-record.ts';

const dryRun = z.boolean().default(true).describe('If `true`, only reports what would be removed.');
const confirmToken = textField(1_000).nullish();
const unusedBody = z.strictObject({
  dry_run: dryRun,
  confirm_token: confirmToken.describe(
    '`PURGE_CONFIRM_TOKEN`; or send it in the header `X-Confirm-Token`. Required unless it is a dry run.',
  ),
  tenant: tenantField.nullish().describe('Only purges images of this tenant.'),
  min_age_days: z.int().min(0).max(maxDays).default(0).describe('Minimum age of the images, in days.'),
});
const deletedBody = z.strictObject({
  dry_run: dryRun,
  confirm_token: confirmToken.describe(
    '`PURGE_CONFIRM_TOKEN`; or send it in the header `X-Confirm-Token`. Required unless it is a dry run or only this machine can reach the server.',
  ),
  days: z
    .int()
    .min(0)
    .max(maxDays)
    .optional()
    .describe('Minimum number of days since the deletion; default `PURGE_DAYS`.'),
});

/** Routes that remove images and their files. */
export const purgeRoutes: Surface = (app, { services, config }) => {
  const tags = ['Purge'];

  app.post(
    '/purge',
    {
      onRequest: refuseTokenInUrl,
      schema: {
        tags,
        summary: 'Purge unused images',
        description:
          'Permanently removes images without references, and their files. Without a body, it is a dry run; a real purge requires the confirmation token.',
        bodies: jsonBody(unusedBody),
        response: responses(
          { 200: json(unusedPurgeSchema, 'What was removed, or would be removed.') },
          'invalid_request',
          'origin_not_allowed',
          'purge_refused',
          'tenant_not_found',
          'unsupported_body',
        ),
      },
    },
    async (request) => {
      const body = readJsonBody(request, unusedBody);
      const report = await services.purgeUnused(principalOf(request), {
        dryRun: body.dry_run,
        confirmTokens: confirmTokensOf(request, body.confirm_token),
        tenantName: body.tenant ?? undefined,
        minAgeDays: body.min_age_days,
      });
      return unusedPurgeRecord(report);
    },
  );

  app.post(
    '/purge/deleted',
    {
      onRequest: refuseTokenInUrl,
      schema: {
        tags,
        summary: 'Purge deleted images',
        description:
          'Permanently removes images that were deleted at least `days` ago, and their files. Without a body, it is a dry run; a real purge requires the confirmation token, unless only this machine can reach the server.',
        bodies: jsonBody(deletedBody),
        response: responses(
          { 200: json(deletedPurgeSchema, 'What was removed, or would be removed.') },
          'invalid_request',
          'origin_not_allowed',
          'purge_refused',
          'unsupported_body',
        ),
      },
    },
    async (request) => {
      const body = readJsonBody(request, deletedBody);
      const days = body.days ?? config.purge.days;
      const report = await services.purgeDeleted(principalOf(request), {
        dryRun: body.dry_run,
        confirmTokens: confirmTokensOf(request, body.confirm_token),
        days,
      });
      return deletedPurgeRecord(report, days);
    },
  );
};
