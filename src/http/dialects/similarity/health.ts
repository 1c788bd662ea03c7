import { z } from 'zod';
import type { HealthCheck, HealthDetails } from '../../../services/check-health.ts';
import { version } from '../../../version.ts';
import { toChecksRecord, checksSchema, isHealthy, showsHealthDetails } from '../../operations.ts';
import { responses, json } from '../../openapi/responses.ts';
import { getPrincipal } from '../../principal.ts';
import type { RoutePlugin } from '../../route-plugin.ts';

const summarySchema = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  version: z.string().optional().describe('Left out with `AUTH=keys`.'),
  timestamp: z.iso.datetime(),
});
const aliveSchema = z.object({ status: z.literal('alive'), timestamp: z.iso.datetime() });
const readySchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  timestamp: z.iso.datetime(),
  checks: checksSchema.optional().describe('Left out with `AUTH=keys`.'),
});
const componentSchema = z.looseObject({ status: z.enum(['healthy', 'unhealthy']) });
const detailedSchema = summarySchema.extend({
  version: z.string(),
  uptime_seconds: z.number(),
  checks: checksSchema,
  warnings: z.array(z.string()).optional().describe('Warnings about the configuration.'),
  system: z
    .looseObject({ memory_bytes: z.int() })
    .describe('Memory, platform and component versions of the process.'),
  database: componentSchema,
  queue: componentSchema,
  storage: componentSchema,
  decoders: componentSchema,
  embeddings: z.looseObject({}).describe('Embedding statistics.'),
});
const tags = ['Similarity dialect'];
const failureDescription = 'At least one check failed.';

/** Health routes of the similarity dialect, an API for clients of an older similarity service. */
export const similarityHealthRoutes: RoutePlugin = (app, { services: { checkHealth }, config }) => {
  const showsDetails = showsHealthDetails(config);
  app.get(
    '/api/v1/health',
    {
      config: { access: 'open' },
      schema: {
        tags,
        summary: 'Health',
        response: responses({
          200: json(summarySchema, 'All checks passed.'),
          503: json(summarySchema, failureDescription),
        }),
      },
    },
    async (_request, reply) => {
      const healthy = isHealthy(await checkHealth.ready());
      return reply.code(healthy ? 200 : 503).send(toSummaryRecord(healthy, showsDetails));
    },
  );

  app.get(
    '/api/v1/health/live',
    {
      config: { access: 'open' },
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
      config: { access: 'open' },
      schema: {
        tags,
        summary: 'Readiness',
        response: responses({
          200: json(readySchema, 'All checks passed.'),
          503: json(readySchema, failureDescription),
        }),
      },
    },
    async (_request, reply) => {
      const checks = await checkHealth.ready();
      const healthy = isHealthy(checks);
      return reply.code(healthy ? 200 : 503).send({
        status: healthy ? 'ready' : 'not_ready',
        timestamp: new Date().toISOString(),
        ...(showsDetails && { checks: toChecksRecord(checks) }),
      });
    },
  );

  app.get(
    '/api/v1/health/detailed',
    {
      config: { access: 'checkHealth.detailed', isCounted: false, underLoad: 'always' },
      schema: {
        tags,
        summary: 'Health and statistics by component',
        description: 'For troubleshooting. Load balancers should use `/api/v1/health/ready`.',
        response: responses({
          200: json(detailedSchema, 'All checks passed.'),
          503: json(detailedSchema, failureDescription),
        }),
      },
    },
    async (request, reply) => {
      const details = await checkHealth.detailed(getPrincipal(request));
      return reply.code(isHealthy(details.checks) ? 200 : 503).send(toDetailedRecord(details));
    },
  );
};

function toSummaryRecord(healthy: boolean, showsDetails: boolean): z.input<typeof summarySchema> {
  return {
    status: healthy ? 'healthy' : 'unhealthy',
    ...(showsDetails && { version }),
    timestamp: new Date().toISOString(),
  };
}

function toDetailedRecord(details: HealthDetails): z.input<typeof detailedSchema> {
  const { checks, warnings, database, queue, storage, decoders, embeddings, versions } = details;
  return {
    ...toSummaryRecord(isHealthy(checks), true),
    version,
    uptime_seconds: details.uptimeSeconds,
    checks: toChecksRecord(checks),
    ...(warnings.length > 0 && { warnings: [...warnings] }),
    system: {
      memory_bytes: process.memoryUsage.rss(),
      platform: `${process.platform}-${process.arch}`,
      versions,
    },
    database: toComponentRecord(checks, 'database', database),
    queue: toComponentRecord(
      checks,
      'queue',
      queue && {
        kind: queue.kind,
        pending: queue.pending,
        processing: queue.processing,
        failed: queue.failed,
        oldest_pending_seconds: queue.oldestPendingSeconds,
        ...(queue.outageReason && { warning: queue.outageReason }),
      },
    ),
    storage: toComponentRecord(
      checks,
      'storage',
      storage && { kind: storage.kind, free_bytes: storage.freeBytes },
    ),
    decoders: toComponentRecord(checks, 'decoders', {
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

/** Converts a component's health to JSON, with its statistics if they could be read. */
function toComponentRecord(
  checks: readonly HealthCheck[],
  component: HealthCheck['name'],
  statistics: object | undefined,
): z.input<typeof componentSchema> {
  const error = checks.find(({ name }) => name === component)?.error;
  return { status: error === undefined ? 'healthy' : 'unhealthy', ...(error && { error }), ...statistics };
}
