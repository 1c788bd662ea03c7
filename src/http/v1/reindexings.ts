import { z } from 'zod';
import { readJsonBody } from '../bodies/json-body.ts';
import { tenantField } from '../fields/fields.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { json, responses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { reindexingStartSchema, toRenderingRecord } from './rendering-record.ts';

const startBody = z.strictObject({
  tenant: tenantField
    .optional()
    .describe('Name of the tenant; defaults to the tenant of the API key, then to all tenants.'),
  dry_run: z.boolean().optional().describe('Whether to only count; default `false`.'),
});

/** Routes that start reindexings. A reindexing is listed and controlled like a re-rendering. */
export const reindexingRoutes: RoutePlugin = (app, { services }) => {
  app.post(
    '/reindexings',
    {
      config: { access: 'campaigns.startReindexing', isIdempotent: true },
      schema: {
        tags: ['Re-renderings'],
        summary: 'Compute outdated fingerprints and embeddings again',
        description:
          'Describes the images again whose fingerprint or embedding is outdated, in the background, after all other jobs. Until all are done, searches use the old embeddings. Vitrine also starts this by itself. The progress is at `/v1/renderings/{id}`, as of a re-rendering.',
        bodies: jsonBody(startBody),
        response: responses(
          {
            200: json(reindexingStartSchema, 'A dry run: the number of images.'),
            201: json(reindexingStartSchema, 'The reindexing has started.'),
          },
          'invalid_request',
          'tenant_not_found',
          'unsupported_body',
        ),
      },
    },
    async (request, reply) => {
      const { tenant, dry_run: isDryRun = false } = readJsonBody(request, startBody);
      const { images, campaign } = await services.campaigns.startReindexing(getPrincipal(request), {
        tenant,
        isDryRun,
      });
      return reply
        .code(campaign ? 201 : 200)
        .send({ images, reindexing: campaign ? toRenderingRecord(campaign) : null });
    },
  );
};
