import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { AppError } from '../errors.ts';
import { checksRecord, isHealthy } from './health.ts';
import { answerErrorsAsProblems, answerMissingRoutes } from './responses/problems.ts';
import { replyMetricsText } from './prometheus.ts';
import { closeStalledResponses } from './guard/stalled-responses.ts';
import { guardRequests } from './guard/request-gate.ts';
import type { HttpConfig, HttpParts } from './surface.ts';

/** A worker takes no requests of clients: those that watch it need little, and not for long. */
const requestMs = 10_000;
const maxConnections = 64;

/** What a worker answers to those that watch it: `/healthz`, and `/metrics` for Prometheus. It does not listen yet. */
export function makeWorkerServer(
  config: HttpConfig['server'],
  logger: FastifyBaseLogger,
  { services, metrics }: Pick<HttpParts, 'services' | 'metrics'>,
): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: requestMs,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true },
  });
  app.server.maxConnections = maxConnections;
  closeStalledResponses(app, requestMs);
  answerErrorsAsProblems(app);
  guardRequests(app, config);
  answerMissingRoutes(app, () => ({ error: nothingHere(), allow: [] }));
  app.get('/healthz', async (_request, reply) => {
    const checks = await services.checkHealth.ready();
    const healthy = isHealthy(checks);
    return reply
      .code(healthy ? 200 : 503)
      .header('cache-control', 'no-cache')
      .send({ status: healthy ? 'healthy' : 'unhealthy', checks: checksRecord(checks) });
  });
  app.get('/metrics', (_request, reply) => replyMetricsText(reply, metrics));
  return app;
}

function nothingHere(): AppError {
  return new AppError(
    'route_not_found',
    'This is a worker: it answers GET /healthz and GET /metrics. The API and the console are served by vitrine serve.',
  );
}
