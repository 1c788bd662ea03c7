import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { makeAdmission } from '../../../src/http/overload/admission.ts';
import { openAuthentication } from '../../../src/services/access/authenticate.ts';
import { fixPresets } from '../../support/inner/fix-presets.ts';
import { makeHttpServer } from '../../../src/http/server.ts';
import type { HttpDependencies } from '../../../src/http/route-plugin.ts';

/** Returns an HTTP server whose routes have no services except those in `dependencies`. */
export async function makeBareServer(
  env: Record<string, string> = {},
  dependencies: { [Name in keyof HttpDependencies]?: object } = {},
): Promise<FastifyInstance> {
  const config = loadConfig(env);
  const logger = pino({ level: 'silent' });
  const idleSamples = {
    queueDepths: () => [],
    freeBytes: () => undefined,
    eventLoopDelayMs: () => 0,
  };
  const defaults = {
    services: {},
    presets: fixPresets(config.presets),
    metrics: { recordRequest: () => undefined },
    admission: makeAdmission({ ...config.overload, decoders: 1, minFreeBytes: 0 }, idleSamples, logger),
    requestLimiter: { take: () => undefined },
    authenticate: openAuthentication,
    links: { verify: () => undefined },
  };
  const allDependencies = { ...defaults, ...dependencies } as unknown as HttpDependencies;
  const app = makeHttpServer(config, logger, allDependencies);
  onTestFinished(async () => app.close());
  await app.ready();
  return app;
}
