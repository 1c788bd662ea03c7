import { noPublicDelivery } from '../services/access/public-delivery.ts';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { AppError } from '../errors.ts';
import { schemaController } from './compilers.ts';
import { authenticateRequests } from './guard/authentication.ts';
import { makeTrustedTest } from './guard/connections-per-address.ts';
import { guardRequests } from './guard/request-gate.ts';
import { makeRequestLimits } from './guard/request-limits.ts';
import { addSecurityHeaders } from './guard/security-headers.ts';
import { closeStalledResponses } from './guard/stalled-responses.ts';
import { sendPrometheus } from './metrics.ts';
import { toChecksRecord, isHealthy, showsHealthDetails } from './operations.ts';
import { handleErrors, handleMissingRoutes } from './responses/problems.ts';
import type { HttpConfig, HttpDependencies } from './route-plugin.ts';

/** Only health probes and metrics scrapers connect to a worker, and they send only a few short requests. */
const requestMs = 10_000;
const maxConnections = 64;

/** Creates a worker's HTTP server, which serves only `/healthz` and `/metrics`. The server does not listen yet. */
export function makeWorkerServer(
  config: Pick<HttpConfig, 'server' | 'access'>,
  logger: FastifyBaseLogger,
  {
    services,
    metrics,
    authenticate,
    requestLimiter,
  }: Pick<HttpDependencies, 'services' | 'metrics' | 'authenticate' | 'requestLimiter'>,
): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    schemaController,
    requestTimeout: requestMs,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true },
  });
  app.server.maxConnections = maxConnections;
  closeStalledResponses(app, requestMs);
  handleErrors(app);
  guardRequests(app, config.server);
  addSecurityHeaders(app);
  const limits = makeRequestLimits({
    limiter: requestLimiter,
    authenticate,
    isExemptFromLimit: makeTrustedTest(config.server.trustedProxies),
  });
  authenticateRequests(app, {
    authenticate,
    links: { verify: () => undefined },
    signedPaths: {
      verify() {
        throw routeNotFoundError();
      },
    },
    publicDelivery: noPublicDelivery,
    limits,
  });
  handleMissingRoutes(app, () => ({ error: routeNotFoundError(), allowedMethods: [] }));
  app.get('/healthz', { config: { access: 'open' } }, async (_request, reply) => {
    const checks = await services.checkHealth.ready();
    const healthy = isHealthy(checks);
    return reply
      .code(healthy ? 200 : 503)
      .header('cache-control', 'no-cache')
      .send({
        status: healthy ? 'healthy' : 'unhealthy',
        ...(showsHealthDetails(config) && { checks: toChecksRecord(checks) }),
      });
  });
  app.get('/metrics', { config: { access: 'metrics.read', isCounted: false } }, (request, reply) =>
    sendPrometheus(request, reply, metrics),
  );
  return app;
}

function routeNotFoundError(): AppError {
  return new AppError(
    'route_not_found',
    'This is a worker, which serves only GET /healthz and GET /metrics. The API is served by vitrine serve.',
  );
}
