import { z } from 'zod';
import type { HealthCheck } from '../services/check-health.ts';
import { version } from '../version.ts';
import { documentPath } from './api-pages/pages.ts';
import { tenantRecord, tenantSchema } from './dialects/catalog/records.ts';
import { prefersPrometheus, sendPrometheus } from './metrics.ts';
import { json, responses, text } from './openapi/responses.ts';
import { principalOf } from './principal.ts';
import type { Surface } from './surface.ts';

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

/** Addresses outside any API surface: `/`, `/healthz` for load balancers, `/metrics` for Prometheus. */
export const operationRoutes: Surface = (app, { services, metrics }) => {
  const tags = ['Health'];
  const index: z.input<typeof indexSchema> = {
    name: 'Vitrine',
    version,
    docs: '/docs',
    reference: '/redoc',
    openapi: documentPath,
    api: '/v1/images',
    health: '/healthz',
  };

  app.get(
    '/',
    {
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
      schema: {
        tags,
        summary: 'Health',
        response: responses({
          200: json(healthSchema, 'All checks passed.'),
          503: json(
            healthSchema,
            'At least one check failed. The body has one field per failed check, with the reason.',
          ),
        }),
      },
    },
    async (_request, reply) => {
      const checks = await services.checkHealth.ready();
      const warnings = messagesOf(checks, 'warning');
      const degraded = Object.keys(warnings).length > 0 ? { warnings } : {};
      if (isHealthy(checks)) return { status: 'healthy', ...degraded };
      return reply.code(503).send({ status: 'unhealthy', ...messagesOf(checks, 'error'), ...degraded });
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        tags,
        summary: 'Prometheus metrics, or usage of every tenant, by `Accept`',
        description:
          'Returns Prometheus metrics of this process if `Accept` lists `text/plain` or `application/openmetrics-text` first. Otherwise returns usage in the format of the catalog dialect.',
        response: responses({
          200: {
            description: 'Metrics, or usage of every tenant.',
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
      if (prefersPrometheus(request)) return sendPrometheus(reply, metrics);
      return { tenants: (await services.usage.tenants(principalOf(request))).map(tenantRecord) };
    },
  );
};

/** Schema of health checks by component. */
export const checksSchema = z.record(
  z.string(),
  z.object({
    ok: z.boolean(),
    error: z.string().optional().describe('Why the check failed.'),
    warning: z.string().optional().describe('A problem that does not affect requests.'),
  }),
);

/** Returns health checks by component. */
export function checksRecord(checks: readonly HealthCheck[]): z.input<typeof checksSchema> {
  return Object.fromEntries(
    checks.map(({ name, error, warning }) => [
      name,
      { ok: error === undefined, ...(error !== undefined && { error }), ...(warning && { warning }) },
    ]),
  );
}

/** Whether all checks passed. */
export function isHealthy(checks: readonly HealthCheck[]): boolean {
  return checks.every(({ error }) => error === undefined);
}

/** Returns the errors or warnings of checks by component. */
function messagesOf(checks: readonly HealthCheck[], kind: 'error' | 'warning'): Record<string, string> {
  return Object.fromEntries(
    checks.flatMap((check) => {
      const message = check[kind];
      return message === undefined ? [] : [[check.name, message]];
    }),
  );
}
