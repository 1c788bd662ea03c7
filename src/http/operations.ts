import { z } from 'zod';
import type { HealthCheck } from '../services/check-health.ts';
import { requireScope } from '../services/access/required-scopes.ts';
import { version } from '../version.ts';
import { openApiPath } from './api-pages/pages.ts';
import { toTenantRecord, tenantSchema } from './dialects/catalog/records.ts';
import { prefersPrometheus, sendPrometheus } from './metrics.ts';
import { json, responses, text } from './openapi/responses.ts';
import { getPrincipal } from './principal.ts';
import type { HttpConfig, RoutePlugin } from './route-plugin.ts';

const indexSchema = z.object({
  name: z.string(),
  version: z.string(),
  docs: z.string().describe('API explorer.'),
  reference: z.string().describe('API documentation on one page.'),
  openapi: z.string().describe('OpenAPI document.'),
  api: z.string(),
  health: z.string(),
});
const healthSchema = z.looseObject({
  status: z.enum(['healthy', 'unhealthy']),
  warnings: z
    .record(z.string(), z.string())
    .optional()
    .describe('Problems that do not affect requests, by component.'),
});

/**
 * Routes that belong neither to `/v1` nor to a dialect (an older API): `/`, `/healthz` for load balancers, and
 * `/metrics` for Prometheus.
 */
export const operationRoutes: RoutePlugin = (app, { services, metrics, config }) => {
  const tags = ['Health'];
  const index: z.input<typeof indexSchema> = {
    name: 'Vitrine',
    version,
    docs: '/docs',
    reference: '/redoc',
    openapi: openApiPath,
    api: '/v1/images',
    health: '/healthz',
  };

  app.get(
    '/',
    {
      config: { access: 'open' },
      schema: {
        tags,
        summary: 'Name, version and entry points',
        response: responses({ 200: json(indexSchema, 'The entry points.') }),
      },
    },
    () => index,
  );

  app.get(
    '/healthz',
    {
      config: { access: 'open' },
      schema: {
        tags,
        summary: 'Health',
        response: responses({
          200: json(healthSchema, 'All checks passed.'),
          503: json(
            healthSchema,
            'At least one check failed. With `AUTH=open`, the body contains a field with the reason for each failed check.',
          ),
        }),
      },
    },
    async (_request, reply) => {
      const checks = await services.checkHealth.ready();
      const healthy = isHealthy(checks);
      return reply.code(healthy ? 200 : 503).send({
        status: healthy ? 'healthy' : 'unhealthy',
        ...(showsHealthDetails(config) && collectAllMessages(checks)),
      });
    },
  );

  app.get(
    '/metrics',
    {
      config: { access: ['metrics.read', 'usage.tenants'], isCounted: false, underLoad: 'always' },
      schema: {
        tags,
        summary: 'Prometheus metrics or the usage of all tenants, depending on `Accept`',
        description:
          'Returns the Prometheus metrics of this process if `Accept` lists `text/plain` or `application/openmetrics-text` first. Otherwise, returns the usage of all tenants in the format of the catalog dialect. The metrics require `metrics.read`, the usage `usage.read`.',
        response: responses({
          200: {
            description: 'The metrics, or the usage of all tenants.',
            content: {
              'application/json': { schema: z.object({ tenants: z.array(tenantSchema) }) },
              ...text('text/plain'),
            },
          },
        }),
      },
    },
    async (request, reply) => {
      void reply.header('vary', [reply.getHeader('vary'), 'Accept'].filter(Boolean).join(', '));
      if (prefersPrometheus(request)) {
        requireScope(getPrincipal(request), 'metrics.read');
        return sendPrometheus(request, reply, metrics);
      }
      return { tenants: (await services.usage.tenants(getPrincipal(request))).map(toTenantRecord) };
    },
  );
};

/** Schema of health checks, keyed by component. */
export const checksSchema = z.record(
  z.string(),
  z.object({
    ok: z.boolean(),
    error: z.string().optional().describe('Why the check failed.'),
    warning: z.string().optional().describe('A problem that does not affect requests.'),
  }),
);

/** Converts health checks to JSON, keyed by component. */
export function toChecksRecord(checks: readonly HealthCheck[]): z.input<typeof checksSchema> {
  return Object.fromEntries(
    checks.map(({ name, error, warning }) => [
      name,
      { ok: error === undefined, ...(error !== undefined && { error }), ...(warning && { warning }) },
    ]),
  );
}

/**
 * Whether the health routes that need no key also report what they found. With `AUTH=keys`, they report only the status, because
 * versions and the reasons of failures help attackers; `/api/v1/health/detailed` tells them to a key.
 */
export function showsHealthDetails({ access }: Pick<HttpConfig, 'access'>): boolean {
  return access.mode === 'open';
}

/** Whether all checks passed. */
export function isHealthy(checks: readonly HealthCheck[]): boolean {
  return checks.every(({ error }) => error === undefined);
}

function collectAllMessages(checks: readonly HealthCheck[]) {
  const warnings = collectMessages(checks, 'warning');
  const warningField = Object.keys(warnings).length > 0 ? { warnings } : {};
  return { ...collectMessages(checks, 'error'), ...warningField };
}

/** Returns the errors or warnings of the checks, keyed by component. */
function collectMessages(checks: readonly HealthCheck[], kind: 'error' | 'warning'): Record<string, string> {
  return Object.fromEntries(
    checks.flatMap((check) => {
      const message = check[kind];
      return message === undefined ? [] : [[check.name, message]];
    }),
  );
}
