import { z } from 'zod';
import { confirmTokensOf, refuseTokenInAddress } from '../guard/confirm-tokens.ts';
import { maxDays, tenantField, textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { answers, json } from '../openapi/responses.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import {
  deletedPurgeRecord,
  deletedPurgeSchema,
  unusedPurgeRecord,
  unusedPurgeSchema,
} from './purge-record.ts';

const dryRun = z.boolean().default(true).describe('`true` only tells what would go.');
const confirmToken = textField(1_000).nullish();
const unusedBody = z.strictObject({
  dry_run: dryRun,
  confirm_token: confirmToken.describe(
    '`PURGE_CONFIRM_TOKEN`, also as the header `X-Confirm-Token`. Needed unless it is a dry run.',
  ),
  tenant: tenantField.nullish().describe("One tenant's images only."),
  min_age_days: z.int().min(0).max(maxDays).default(0).describe('Younger images stay.'),
});
const deletedBody = z.strictObject({
  dry_run: dryRun,
  confirm_token: confirmToken.describe(
    '`PURGE_CONFIRM_TOKEN`, also as the header `X-Confirm-Token`. Needed unless it is a dry run, once others than this machine reach the server.',
  ),
  days: z
    .int()
    .min(0)
    .max(maxDays)
    .optional()
    .describe('Deleted at least this long ago; `PURGE_DAYS` if missing.'),
});

/** `/v1/purge`: the only calls that remove files. */
export const purgeRoutes: Surface = (app, { services, config }) => {
  const tags = ['Purge'];

  app.post(
    '/purge',
    {
      onRequest: refuseTokenInAddress,
      schema: {
        tags,
        summary: 'Remove images that nobody uses',
        description:
          'Images without a reference, with their files: they cannot be restored. Without a body it is a dry run; else it needs the token.',
        takes: jsonBody(unusedBody),
        response: answers(
          { 200: json(unusedPurgeSchema, 'What would go, or went.') },
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
      onRequest: refuseTokenInAddress,
      schema: {
        tags,
        summary: 'Remove images that were deleted long enough ago',
        description:
          'Phase two of deleting. Without a body it is a dry run; else it needs the token, once others than this machine reach the server.',
        takes: jsonBody(deletedBody),
        response: answers(
          { 200: json(deletedPurgeSchema, 'What would go, or went.') },
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
