import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';
import { getPrincipal } from './principal.ts';
import { missingScopeError } from '../services/access/required-scopes.ts';
import { assertSeesAllTenants } from '../services/tenants.ts';
import type { Metrics, ServedMetrics } from '../telemetry/metrics.ts';

/** Route label for requests that match no route. */
const unmatchedRouteLabel = 'none';

/**
 * Counts every response by its route pattern, including responses that bypass Fastify. The pattern is captured when the
 * route is registered, because reading it from the request would cost more than the rest of the hook.
 */
export function countRequests(app: FastifyInstance, metrics: Pick<Metrics, 'recordRequest'>): void {
  app.addHook('onRoute', (route) => {
    const pattern = route.url;
    const hooks = route.onResponse ?? [];
    route.onResponse = [
      ...(Array.isArray(hooks) ? hooks : [hooks]),
      (request, reply, done) => {
        metrics.recordRequest({
          method: request.method,
          route: pattern,
          status: reply.raw.statusCode,
          seconds: reply.elapsedTime / 1_000,
        });
        done();
      },
    ];
  });
  app.addHook('onResponse', (request, reply, done) => {
    if (request.is404) {
      const { method } = request;
      const seconds = reply.elapsedTime / 1_000;
      metrics.recordRequest({ method, route: unmatchedRouteLabel, status: reply.raw.statusCode, seconds });
    }
    done();
  });
}

/** Response format of `/metrics` for each media type in `Accept`. */
const formatByMediaType: Readonly<Record<string, 'prometheus' | 'json'>> = {
  'text/plain': 'prometheus',
  'application/openmetrics-text': 'prometheus',
  'application/json': 'json',
  'text/html': 'json',
  'application/*': 'json',
  '*/*': 'json',
};

/** Whether a client prefers the Prometheus format to JSON. Unknown media types in `Accept` are ignored. */
export function prefersPrometheus({ headers }: FastifyRequest): boolean {
  const types = new Negotiator({ headers: { accept: headers.accept } }).mediaTypes();
  const knownType = types.find((type) => Object.hasOwn(formatByMediaType, type.toLowerCase()));
  return knownType !== undefined && formatByMediaType[knownType.toLowerCase()] === 'prometheus';
}

/**
 * Sends this process's metrics in the Prometheus format.
 * @throws {AppError} `missing_scope`; `tenant_not_allowed` for a key of one tenant, because the metrics cover all tenants.
 */
export async function sendPrometheus(
  request: FastifyRequest,
  reply: FastifyReply,
  metrics: ServedMetrics,
): Promise<FastifyReply> {
  const principal = getPrincipal(request);
  const error = missingScopeError(principal, ['metrics.read']);
  if (error) throw error;
  assertSeesAllTenants(principal, 'Metrics');
  const { contentType, text } = await metrics.render();
  return reply.header('content-type', contentType).header('cache-control', 'no-store').send(text);
}
