import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { makeHttpServer } from '../../../src/http/server.ts';
import type { HttpParts } from '../../../src/http/surface.ts';

/** Returns an HTTP server without services behind its routes, except for `parts`. */
export async function bareServer(
  env: Record<string, string> = {},
  parts: { [Part in keyof HttpParts]?: object } = {},
): Promise<FastifyInstance> {
  const nothing = { services: {}, metrics: { requestEnded: () => undefined } };
  const given = { ...nothing, ...parts } as unknown as HttpParts;
  const app = makeHttpServer(loadConfig(env), pino({ level: 'silent' }), given);
  onTestFinished(async () => app.close());
  await app.ready();
  return app;
}
