import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { loadConfig } from '../src/config.ts';
import { makeHttpServer } from '../src/http/server.ts';
import type { HttpParts } from '../src/http/surface.ts';

/** Writes `docs/openapi.json`, or checks with `--check` that it is what the routes give. */

const file = fileURLToPath(new URL('../docs/openapi.json', import.meta.url));

/** The document of a server with the default configuration. Nothing behind its routes is called, so nothing is there. */
async function describeApi(): Promise<string> {
  const parts = { services: {}, metrics: {} } as unknown as HttpParts;
  const app = makeHttpServer(loadConfig({}), pino({ level: 'silent' }), parts);
  await app.ready();
  const document = app.swagger();
  await app.close();
  return `${JSON.stringify(document, null, 1)}\n`;
}

async function main(checkOnly: boolean): Promise<number> {
  const wanted = await describeApi();
  if (!checkOnly) {
    writeFileSync(file, wanted);
    return 0;
  }
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) return 0;
  console.error('docs/openapi.json is not what the routes give. Run: npm run docs');
  return 1;
}

process.exitCode = await main(process.argv.includes('--check'));
