import { z } from 'zod';
import type { OverallUsage, TenantUsage } from '../../model/tenant.ts';
import { answers, json } from '../openapi/answers.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import { usageExample } from './examples.ts';

/** Images by status. */
export const statusCounts = z.object({
  pending: z.int(),
  processing: z.int(),
  completed: z.int(),
  failed: z.int(),
});
const usageSchema = z.object({
  images: z.int(),
  renditions: z.int(),
  original_bytes: z.int().describe('A file that several images share counts once.'),
  rendition_bytes: z.int(),
  total_bytes: z.int(),
  bytes_per_preset: z.record(z.string(), z.int()),
  status_counts: statusCounts,
});
const tenantUsageSchema = z
  .object({ tenant: z.string(), tenant_id: z.int() })
  .extend(usageSchema.shape)
  .meta({ id: 'TenantUsage', examples: [usageExample] });

/** `/v1/usage`: what tenants use. */
export const usageRoutes: Surface = (app, { services: { usage } }) => {
  const tags = ['Usage'];

  app.get(
    '/usage',
    {
      schema: {
        tags,
        summary: 'What all tenants use',
        description: 'Deleted images do not count.',
        response: answers(
          {
            200: json(
              z.object({ totals: usageSchema, tenants: z.array(tenantUsageSchema) }),
              'All together, and each.',
            ),
          },
          'invalid_request',
        ),
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const [overall, tenants] = await Promise.all([usage.overall(principal), usage.tenants(principal)]);
      return { totals: usageRecord(overall), tenants: tenants.map(tenantUsageRecord) };
    },
  );

  app.get(
    '/usage/:tenant',
    {
      schema: {
        tags,
        summary: 'What a tenant uses',
        description: 'Its images, renditions and bytes. Deleted images do not count.',
        params: z.object({ tenant: z.string().describe('Name of a tenant.') }),
        response: answers(
          { 200: json(tenantUsageSchema, 'Its usage.') },
          'invalid_request',
          'tenant_not_found',
        ),
      },
    },
    async (request) => tenantUsageRecord(await usage.tenant(principalOf(request), request.params.tenant)),
  );
};

function tenantUsageRecord(usage: TenantUsage): z.input<typeof tenantUsageSchema> {
  return { tenant: usage.tenant, tenant_id: usage.tenantId, ...usageRecord(usage) };
}

/** Usage, as `/v1` shows it. */
export function usageRecord(usage: TenantUsage | OverallUsage): z.input<typeof usageSchema> {
  const { images, renditions, originalBytes, renditionBytes, bytesByPreset, imagesByStatus } = usage;
  return {
    images,
    renditions,
    original_bytes: originalBytes,
    rendition_bytes: renditionBytes,
    total_bytes: originalBytes + renditionBytes,
    bytes_per_preset: { ...bytesByPreset },
    status_counts: { ...imagesByStatus },
  };
}
