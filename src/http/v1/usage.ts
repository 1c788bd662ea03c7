import { z } from 'zod';
import type { OverallUsage, TenantUsage, TenantUsageReport } from '../../model/tenant.ts';
import { responses, json } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { usageExample } from './examples.ts';

/** Schema of image counts by status. */
export const statusCountsSchema = z.object({
  pending: z.int(),
  processing: z.int(),
  completed: z.int(),
  failed: z.int(),
});
const usageSchema = z.object({
  images: z.int(),
  renditions: z.int(),
  original_bytes: z.int().describe('A file that several images share is counted once.'),
  rendition_bytes: z.int(),
  total_bytes: z.int(),
  bytes_per_preset: z.record(z.string(), z.int()),
  bytes_per_format: z.record(z.string(), z.int()),
  status_counts: statusCountsSchema,
});
const quotasSchema = z
  .object({
    images: z
      .int()
      .nullable()
      .describe('Limit of `images`, and of the `deleted_images` that do not count towards it.'),
    bytes: z
      .int()
      .nullable()
      .describe('Limit of `total_bytes`, and of the `deleted_bytes` that do not count towards it.'),
    imports_per_day: z.int().nullable().describe('Limit of `imports_today`.'),
  })
  .describe('How much the tenant may use; `null` means no limit.');
const tenantUsageSchema = z
  .object({ tenant: z.string(), tenant_id: z.int() })
  .extend(usageSchema.shape)
  .extend({
    deleted_images: z
      .int()
      .describe('Deleted images that have not been purged. They are not part of `images`.'),
    deleted_bytes: z
      .int()
      .describe(
        'Bytes of the files of deleted images. A file that several images share may be counted for each.',
      ),
    imports_today: z.int().describe('Imports by URL that were requested since midnight (UTC).'),
    quotas: quotasSchema,
  })
  .meta({ id: 'TenantUsage', examples: [usageExample] });

/** Storage usage routes. */
export const usageRoutes: RoutePlugin = (app, { services: { usage } }) => {
  const tags = ['Usage'];

  app.get(
    '/usage',
    {
      config: { access: 'usage.tenants' },
      schema: {
        tags,
        summary: 'Get the usage of all tenants',
        description:
          'Deleted images are only counted in `deleted_images` and `deleted_bytes` of each tenant.',
        response: responses(
          {
            200: json(
              z.object({ totals: usageSchema, tenants: z.array(tenantUsageSchema) }),
              'Totals, and usage by tenant.',
            ),
          },
          'invalid_request',
        ),
      },
    },
    async (request) => {
      const principal = getPrincipal(request);
      const [overall, tenants] = await Promise.all([usage.overall(principal), usage.tenants(principal)]);
      return { totals: toUsageRecord(overall), tenants: tenants.map(toTenantUsageRecord) };
    },
  );

  app.get(
    '/usage/:tenant',
    {
      config: { access: 'usage.tenant' },
      schema: {
        tags,
        summary: 'Get the usage of a tenant',
        description:
          "Counts the tenant's images, renditions and bytes. Deleted images are only counted in `deleted_images` and `deleted_bytes`.",
        params: z.object({ tenant: z.string().describe('Name of a tenant.') }),
        response: responses(
          { 200: json(tenantUsageSchema, "The tenant's usage.") },
          'invalid_request',
          'tenant_not_found',
        ),
      },
    },
    async (request) => toTenantUsageRecord(await usage.tenant(getPrincipal(request), request.params.tenant)),
  );
};

function toTenantUsageRecord(usage: TenantUsageReport): z.input<typeof tenantUsageSchema> {
  const { images, bytes, importsPerDay } = usage.quotas;
  return {
    tenant: usage.tenant,
    tenant_id: usage.tenantId,
    ...toUsageRecord(usage),
    deleted_images: usage.deletedImages,
    deleted_bytes: usage.deletedBytes,
    imports_today: usage.importsToday,
    quotas: { images, bytes, imports_per_day: importsPerDay },
  };
}

/** Converts usage to the `/v1` JSON format. */
export function toUsageRecord(usage: TenantUsage | OverallUsage): z.input<typeof usageSchema> {
  const { images, renditions, originalBytes, renditionBytes, bytesByPreset, bytesByFormat, imagesByStatus } =
    usage;
  return {
    images,
    renditions,
    original_bytes: originalBytes,
    rendition_bytes: renditionBytes,
    total_bytes: originalBytes + renditionBytes,
    bytes_per_preset: { ...bytesByPreset },
    bytes_per_format: { ...bytesByFormat },
    status_counts: { ...imagesByStatus },
  };
}
