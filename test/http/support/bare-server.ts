import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { makeHttpServer } from '../../../src/http/server.ts';
import type { HttpParts } from '../../../src/http/surface.ts';

/** Returns an HTTP server whose routes have no services except those in `parts`. */
export async function bareServer(
  env: Record<string, string> = {},
  parts: { [Part in keyof HttpParts]?: object } = {},
): Promise<FastifyInstance> {
  const defaults = { services: {}, metrics: { requestEnded: () => undefined } };
  const allParts = { ...defaults, ...parts } as unknown as HttpParts;
  const app = makeHttpServer(loadConfig(env), pino({ level: 'silent' }), allParts);
  onTestFinished(async () => app.close());
  await app.ready();
  return app;
}
