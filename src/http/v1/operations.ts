import { z } from 'zod';
import { version } from '../../version.ts';
import { checksRecord, checksSchema, isHealthy } from '../health.ts';
import { answers, json } from '../openapi/responses.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import { statusCounts } from './usage.ts';

const metricsSchema = z.object({
  tenant_counts: z.record(z.string(), z.int()).describe('Images by tenant.'),
  bytes_per_preset: z.record(z.string(), z.int()),
  status_counts: statusCounts,
  totals: z.object({
    images: z.int(),
    renditions: z.int(),
    original_bytes: z.int(),
    rendition_bytes: z.int(),
  }),
});
const healthSchema = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  version: z.string(),
  checks: checksSchema,
});

/** `/v1/metrics` and `/v1/healthz`. */
export const operationRoutes: Surface = (app, { services }) => {
  app.get(
    '/metrics',
    {
      schema: {
        tags: ['Usage'],
        summary: 'Figures of all tenants together',
        description: 'Images by tenant and by status, and bytes by preset. Deleted images do not count.',
        response: answers({ 200: json(metricsSchema, 'The figures.') }, 'invalid_request'),
      },
    },
    async (request): Promise<z.input<typeof metricsSchema>> => {
      const usage = await services.usage.overall(principalOf(request));
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
      schema: {
        tags: ['Health'],
        summary: 'Health with each check',
        description:
          'Tries database, storage and what else a request needs. 503 when one of them does not answer.',
        response: answers(
          {
            200: json(healthSchema, 'All checks passed.'),
            503: json(healthSchema, 'A check failed; its reason is in the answer.'),
          },
          'invalid_request',
        ),
      },
    },
    async (_request, reply) => {
      const checks = await services.checkHealth.ready();
      const healthy = isHealthy(checks);
      return reply
        .code(healthy ? 200 : 503)
        .send({ status: healthy ? 'healthy' : 'unhealthy', version, checks: checksRecord(checks) });
    },
  );
};
