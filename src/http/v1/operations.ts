import { z } from 'zod';
import { version } from '../../version.ts';
import { toChecksRecord, checksSchema, isHealthy, showsHealthDetails } from '../operations.ts';
import { responses, json } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { statusCountsSchema } from './usage.ts';

const metricsSchema = z.object({
  tenant_counts: z.record(z.string(), z.int()).describe('Number of images by tenant.'),
  bytes_per_preset: z.record(z.string(), z.int()),
  status_counts: statusCountsSchema,
  totals: z.object({
    images: z.int(),
    renditions: z.int(),
    original_bytes: z.int(),
    rendition_bytes: z.int(),
  }),
});
const healthSchema = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  version: z.string().optional().describe('Left out with `AUTH=keys`.'),
  checks: checksSchema.optional().describe('Left out with `AUTH=keys`.'),
});

/** Health and usage routes for the whole installation. */
export const operationRoutes: RoutePlugin = (app, { services, config }) => {
  const showsDetails = showsHealthDetails(config);
  app.get(
    '/metrics',
    {
      config: { access: 'usage.overall' },
      schema: {
        tags: ['Usage'],
        summary: 'Get the total usage of all tenants',
        description:
          'Counts images by tenant and by status, and bytes by preset. Deleted images are not counted.',
        response: responses({ 200: json(metricsSchema, 'The totals.') }, 'invalid_request'),
      },
    },
    async (request): Promise<z.input<typeof metricsSchema>> => {
      const usage = await services.usage.overall(getPrincipal(request));
      return {
        tenant_counts: { ...usage.imagesByTenant },
        bytes_per_preset: { ...usage.bytesByPreset },
        status_counts: { ...usage.imagesByStatus },
        totals: {
          images: usage.images,
          renditions: usage.renditions,
          original_bytes: usage.originalBytes,
          rendition_bytes: usage.renditionBytes,
        },
      };
    },
  );

  app.get(
    '/healthz',
    {
      config: { access: 'open' },
      schema: {
        tags: ['Health'],
        summary: 'Health by component',
        description: 'Checks the database, storage, queue and decoders. Returns 503 if a check fails.',
        response: responses(
          {
            200: json(healthSchema, 'All checks passed.'),
            503: json(
              healthSchema,
              'At least one check failed. With `AUTH=open`, the body contains the reasons.',
            ),
          },
          'invalid_request',
        ),
      },
    },
    async (_request, reply) => {
      const checks = await services.checkHealth.ready();
      const healthy = isHealthy(checks);
      return reply.code(healthy ? 200 : 503).send({
        status: healthy ? 'healthy' : 'unhealthy',
        ...(showsDetails && { version, checks: toChecksRecord(checks) }),
      });
    },
  );
};
