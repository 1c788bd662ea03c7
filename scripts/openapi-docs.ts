import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { loadConfig } from '../src/config.ts';
import { makeHttpServer } from '../src/http/server.ts';
import type { HttpDependencies } from '../src/http/route-plugin.ts';

/** Generates `docs/openapi.json` from the routes. With `--check`, only checks that the file is up to date. */

const file = fileURLToPath(new URL('../docs/openapi.json', import.meta.url));

/** Generates the document for the default configuration. The services are empty, because no route is called. */
async function generateDocument(): Promise<string> {
  const dependencies = { services: {}, metrics: {} } as unknown as HttpDependencies;
  const app = makeHttpServer(loadConfig({}), pino({ level: 'silent' }), dependencies);
  await app.ready();
  const document = app.swagger();
  await app.close();
  return `${JSON.stringify(document, null, 1)}\n`;
}

async function main(checkOnly: boolean): Promise<number> {
  const expected = await generateDocument();
  if (!checkOnly) {
    writeFileSync(file, expected);
    return 0;
  }
  if (existsSync(file) && readFileSync(file, 'utf8') === expected) return 0;
  console.error('docs/openapi.json is out of date with the routes. Run: npm run docs');
  return 1;
}

process.exitCode = await main(process.argv.includes('--check'));
