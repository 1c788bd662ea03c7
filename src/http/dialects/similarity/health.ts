import { z } from 'zod';
import type { HealthCheck, HealthDetails } from '../../../services/check-health.ts';
import { version } from '../../../version.ts';
import { checksRecord, checksSchema, isHealthy } from '../../health.ts';
import { answers, json } from '../../openapi/responses.ts';
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
const partSchema = z.looseObject({ status: z.enum(['healthy', 'unhealthy']) });
const detailedSchema = summarySchema.extend({
  uptime_seconds: z.number(),
  checks: checksSchema,
  warnings: z.array(z.string()).optional().describe('What the configuration leaves open, a sentence each.'),
  system: z.looseObject({ memory_bytes: z.int() }).describe('The process, and versions of its parts.'),
  database: partSchema,
  queue: partSchema,
  storage: partSchema,
  decoders: partSchema,
  embeddings: z.looseObject({}).describe('Statistics of the descriptors.'),
});
const tags = ['Similarity dialect'];
const failed = 'A check failed.';

/** `/api/v1/health`: four probes. */
export const similarityHealthRoutes: Surface = (app, { services: { checkHealth } }) => {
  app.get(
    '/api/v1/health',
    {
      schema: {
        tags,
        summary: 'Health',
        response: answers({
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
        summary: 'Whether the process answers',
        response: answers({ 200: json(aliveSchema, 'It does.') }),
      },
    },
    () => ({ status: 'alive', timestamp: new Date().toISOString() }),
  );

  app.get(
    '/api/v1/health/ready',
    {
      schema: {
        tags,
        summary: 'Whether the process may get requests',
        response: answers({ 200: json(readySchema, 'It may.'), 503: json(readySchema, failed) }),
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
        summary: 'Each part with its figures',
        description: 'For people who look for a cause; programs ask `ready`.',
        response: answers({
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
    database: partRecord(checks, 'database', database),
    queue: partRecord(
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
    storage: partRecord(checks, 'storage', storage && { kind: storage.kind, free_bytes: storage.freeBytes }),
    decoders: partRecord(checks, 'decoders', {
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

/** A part with its figures. Those that could not be asked are missing. */
function partRecord(
  checks: readonly HealthCheck[],
  part: HealthCheck['name'],
  figures: object | undefined,
): z.input<typeof partSchema> {
  const error = checks.find(({ name }) => name === part)?.error;
  return { status: error === undefined ? 'healthy' : 'unhealthy', ...(error && { error }), ...figures };
}
