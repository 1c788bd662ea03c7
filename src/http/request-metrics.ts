import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../telemetry/metrics.ts';

/** What requests count as that no route took. */
const noRoute = 'none';

/**
 * Counts every answered request by the pattern of its route, those written past Fastify too. A hook on each route knows
 * its pattern; asking the request for it would cost more than the whole counting.
 */
export function countRequests(app: FastifyInstance, metrics: Pick<Metrics, 'requestEnded'>): void {
  app.addHook('onRoute', (route) => {
    const pattern = route.url;
    const others = route.onResponse ?? [];
    route.onResponse = [
      ...(Array.isArray(others) ? others : [others]),
      (request, reply, done) => {
        metrics.requestEnded({
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
      metrics.requestEnded({ method, route: noRoute, status: reply.raw.statusCode, seconds });
    }
    done();
  });
}
