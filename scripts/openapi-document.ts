import { pino } from 'pino';
import { loadConfig } from '../src/config.ts';
import type { HttpDependencies } from '../src/http/route-plugin.ts';
import { makeHttpServer } from '../src/http/server.ts';

/**
 * Generates the OpenAPI document for the default configuration. The services are empty, because no route is called.
 */
export async function generateOpenApiDocument(): Promise<object> {
  const dependencies = { services: {}, metrics: {} } as unknown as HttpDependencies;
  const app = makeHttpServer(loadConfig({}), pino({ level: 'silent' }), dependencies);
  await app.ready();
  const document = await app.loadOpenApiDocument();
  await app.close();
  return document;
}
