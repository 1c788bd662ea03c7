import { version } from '../../version.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';

/** `/v1/metrics` and `/v1/healthz`. */
export const operationRoutes: Surface = (app, { services }) => {
  app.get('/metrics', async (request) => {
    const { imagesByTenant, bytesByPreset, imagesByStatus } = await services.usage.overall(
      principalOf(request),
    );
    return { tenant_counts: imagesByTenant, bytes_per_preset: bytesByPreset, status_counts: imagesByStatus };
  });

  app.get('/healthz', async (_request, reply) => {
    const checks = await services.checkHealth();
    const healthy = checks.every(({ error }) => error === undefined);
    return reply.code(healthy ? 200 : 503).send({
      status: healthy ? 'healthy' : 'unhealthy',
      version,
      checks: Object.fromEntries(
        checks.map(({ name, error }) => [name, error === undefined ? { ok: true } : { ok: false, error }]),
      ),
    });
  });
};
