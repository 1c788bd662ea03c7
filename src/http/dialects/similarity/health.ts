import { z } from 'zod';
import type { HealthCheck, HealthDetails } from '../../../services/check-health.ts';
import { version } from '../../../version.ts';
import { checksRecord, checksSchema, isHealthy } from '../../operations.ts';
import { responses, json } from '../../openapi/responses.ts';
import type { Surface } from '../../surface.ts';

const summarySchema = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  version: z.string(),
  timestamp: z.iso.datetime(),
});
const aliveSchema = z.object({ status: z.literal('alive'), timestamp: z.iso.datetime() });
const readySchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  timestamp: z.iso.datetime(),
  checks: checksSchema,
});
const componentSchema = z.looseObject({ status: z.enum(['healthy', 'unhealthy']) });
const detailedSchema = summarySchema.extend({
  uptime_seconds: z.number(),
  checks: checksSchema,
  warnings: z.array(z.string()).optional().describe('Warnings about the configuration.'),
  system: z.looseObject({ memory_bytes: z.int() }).describe('Process and component versions.'),
  database: componentSchema,
  queue: componentSchema,
  storage: componentSchema,
  decoders: componentSchema,
  embeddings: z.looseObject({}).describe('Statistics of the embeddings.'),
});
const tags = ['Similarity dialect'];
const failed = 'At least one check failed.';

/** Health probes of the similarity dialect. */
export const similarityHealthRoutes: Surface = (app, { services: { checkHealth } }) => {
  app.get(
    '/api/v1/health',
    {
      schema: {
        tags,
        summary: 'Health',
        response: responses({
          200: json(summarySchema, 'All checks passed.'),
          503: json(summarySchema, failed),
        }),
      },
    },
    async (_request, reply) => {
      const healthy = isHealthy(await checkHealth.ready());
      return reply.code(healthy ? 200 : 503).send(summaryRecord(healthy));
    },
  );

  app.get(
    '/api/v1/health/live',
    {
      schema: {
        tags,
        summary: 'Liveness',
        response: responses({ 200: json(aliveSchema, 'The process responds.') }),
      },
    },
    () => ({ status: 'alive', timestamp: new Date().toISOString() }),
  );

  app.get(
    '/api/v1/health/ready',
    {
      schema: {
        tags,
        summary: 'Readiness',
        response: responses({ 200: json(readySchema, 'All checks passed.'), 503: json(readySchema, failed) }),
      },
    },
    async (_request, reply) => {
      const checks = await checkHealth.ready();
      const healthy = isHealthy(checks);
      return reply.code(healthy ? 200 : 503).send({
        status: healthy ? 'ready' : 'not_ready',
        timestamp: new Date().toISOString(),
        checks: checksRecord(checks),
      });
    },
  );

  app.get(
    '/api/v1/health/detailed',
    {
      schema: {
        tags,
        summary: 'Health and statistics by component',
        description: 'For troubleshooting; load balancers should use `ready`.',
        response: responses({
          200: json(detailedSchema, 'All checks passed.'),
          503: json(detailedSchema, failed),
        }),
      },
    },
    async (_request, reply) => {
      const details = await checkHealth.detailed();
      return reply.code(isHealthy(details.checks) ? 200 : 503).send(detailedRecord(details));
    },
  );
};

function summaryRecord(healthy: boolean): z.input<typeof summarySchema> {
  return { status: healthy ? 'healthy' : 'unhealthy', version, timestamp: new Date().toISOString() };
}

function detailedRecord(details: HealthDetails): z.input<typeof detailedSchema> {
  const { checks, warnings, database, queue, storage, decoders, embeddings, versions } = details;
  return {
    ...summaryRecord(isHealthy(checks)),
    uptime_seconds: details.uptimeSeconds,
    checks: checksRecord(checks),
    ...(warnings.length > 0 && { warnings: [...warnings] }),
    system: {
      memory_bytes: process.memoryUsage.rss(),
      platform: `${process.platform}-${process.arch}`,
      versions,
    },
    database: componentRecord(checks, 'database', database),
    queue: componentRecord(
      checks,
      'queue',
      queue && {
        kind: queue.kind,
        pending: queue.pending,
        processing: queue.processing,
        failed: queue.failed,
        oldest_pending_seconds: queue.oldestPendingSeconds,
        ...(queue.trouble && { warning: queue.trouble }),
      },
    ),
    storage: componentRecord(
      checks,
      'storage',
      storage && { kind: storage.kind, free_bytes: storage.freeBytes },
    ),
    decoders: componentRecord(checks, 'decoders', {
      size: decoders.size,
      alive: decoders.alive,
      busy: decoders.busy,
      waiting: decoders.waiting,
      recycled: decoders.recycled,
      crashes: decoders.crashes,
      timeouts: decoders.timeouts,
      memory_kills: decoders.memoryKills,
    }),
    embeddings: { ...embeddings },
  };
}

/** Returns the state of a component, with its statistics if they could be read. */
function componentRecord(
  checks: readonly HealthCheck[],
  component: HealthCheck['name'],
  statistics: object | undefined,
): z.input<typeof componentSchema> {
  const error = checks.find(({ name }) => name === component)?.error;
  return { status: error === undefined ? 'healthy' : 'unhealthy', ...(error && { error }), ...statistics };
}
