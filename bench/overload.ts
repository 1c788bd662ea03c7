import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { makeBackEnd } from './back-end.ts';
import { startVitrine } from './programs.ts';
import { runPhases } from './overload/phases.ts';
import { judge, printReport } from './overload/report.ts';
import { startGenerator } from './overload/start-generator.ts';

/**
 * Measures how a server behaves under ten times the load that it can serve. Run `npm run bench:overload`. Requests are sent on
 * schedule, whether or not earlier ones were answered, and response times count from the time at which a request should have
 * been sent. If `BENCH_DATABASE_URL` is set, the server uses that PostgreSQL server.
 */

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    'memory-mb': { type: 'string', default: '2048' },
    json: { type: 'boolean', default: false },
    plot: { type: 'string' },
  },
});

async function main(): Promise<number> {
  const backEnd = await makeBackEnd();
  const adminKey = randomBytes(24).toString('hex');
  const server = await startVitrine({
    ...backEnd.environment,
    AUTH: 'keys',
    SECRET_KEY: randomBytes(32).toString('hex'),
    BOOTSTRAP_ADMIN_KEY: adminKey,
    LOG_LEVEL: 'error',
    // The flood must reach admission control.
    REQUESTS_PER_KEY: '0',
  });
  const generators = { a: startGenerator(), b: startGenerator() };
  try {
    const keys = {
      a: await createKey(server.baseUrl, adminKey, 'tenant-a'),
      b: await createKey(server.baseUrl, adminKey, 'tenant-b'),
    };
    const setup = {
      url: server.baseUrl,
      serverPid: server.pid,
      keys,
      generators,
      seconds: Number(values.seconds),
    };
    const results = await runPhases(setup, (name) => console.error(`${name} …`));
    const verdicts = judge(results, Number(values['memory-mb']));
    await printReport(results, verdicts, { isJson: values.json, plotPath: values.plot });
    return verdicts.every(({ isMet }) => isMet) ? 0 : 1;
  } finally {
    generators.a.stop();
    generators.b.stop();
    await server.stop();
    await backEnd.remove();
  }
}

async function createKey(url: string, adminKey: string, tenant: string): Promise<string> {
  const response = await fetch(`${url}/v1/keys`, {
    method: 'POST',
    headers: { 'x-api-key': adminKey, 'content-type': 'application/json' },
    body: JSON.stringify({ name: tenant, role: 'editor', tenant }),
  });
  const body = (await response.json()) as { readonly key?: string };
  if (body.key === undefined) throw new Error(`The key was not created: ${JSON.stringify(body)}`);
  return body.key;
}

process.exitCode = await main();
