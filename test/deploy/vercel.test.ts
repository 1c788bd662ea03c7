import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { findFreePort } from '../support/inner/redis-server.ts';
import { call, type ImageRecord, upload, uploadQueued } from '../support/process/client.ts';
import { cleanEnvironment } from '../support/process/command.ts';
import { jpeg } from '../support/process/pictures.ts';
import { services } from '../support/services.ts';
import { createFunctionEnvironment, functionKeys } from './support/function-host.ts';
import { makeBundle, readVercelFile } from './support/vercel-bundle.ts';
import { waitTimeoutMs } from '../support/time-scale.ts';

const file = await readVercelFile();
const secret = 'the cron secret';

/** A program that calls one of the functions for each request, and provides a request context as Vercel does. */
const launcher = `
  import { createServer } from 'node:http';
  const index = (await import('./api/index.js')).default;
  const cron = (await import('./api/cron.js')).default;
  const pending = [];
  globalThis[Symbol.for('@vercel/request-context')] = { get: () => ({ waitUntil: (work) => pending.push(work) }) };
  createServer(async (request, response) => {
    if (request.url === '/drain') {
      await Promise.all(pending.splice(0));
      response.end();
    } else await (request.url === '/api/cron' ? cron : index)(request, response);
  }).listen(Number(process.env.LAUNCHER_PORT), '127.0.0.1');`;

/** Starts the bundle in its folder. */
async function launch(folder: string): Promise<string> {
  const port = await findFreePort();
  const environment = await createFunctionEnvironment({
    ...functionKeys,
    CRON_SECRET: secret,
    AWS_SESSION_TOKEN: 'a token for different credentials',
  });
  const child = spawn(process.execPath, ['--input-type=module', '--eval', launcher], {
    cwd: folder,
    env: cleanEnvironment({ ...environment, LAUNCHER_PORT: String(port) }),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const url = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + waitTimeoutMs;
  while (performance.now() < deadline) {
    const isResponding = await fetch(`${url}/drain`).then(
      () => true,
      () => false,
    );
    if (isResponding) return url;
    if (child.exitCode !== null) break;
    await sleep(50);
  }
  throw new Error('The function does not respond.');
}

describe.runIf(services.databaseUrl && services.s3Endpoint)('the bundled function', () => {
  test('works with only the bundled files', { tags: 'slow' }, async () => {
    const { folder, bytes } = await makeBundle();
    expect(bytes).toBeLessThan(250 * 2 ** 20);
    expect(existsSync(join(folder, 'node_modules/typescript'))).toBe(false);
    const url = await launch(folder);
    const { BOOTSTRAP_ADMIN_KEY: key } = functionKeys;
    const withKey = { headers: { authorization: `Bearer ${key}` } };
    expect((await upload(url, await jpeg('vercel inline'))).status).toBe(401);
    const { status, body } = await upload(url, await jpeg('vercel inline'), 'shop', '', key);
    expect(status).toBe(201);
    expect((await call(`${url}${body.renditions[0]?.url}`, withKey)).status).toBe(200);
    const queuedUpload = await uploadQueued(url, await jpeg('vercel queued'), 'shop', key);
    await call(`${url}/drain`);
    const image = await call<ImageRecord>(`${url}/v1/images/${queuedUpload.body.asset_id}`, withKey);
    expect(image.body.status).toBe('completed');
    for (const path of ['/', '/docs', '/redoc', '/api/v1/openapi.json', '/api/v1/health', '/metrics'])
      expect((await call(`${url}${path}`, withKey)).status, path).toBe(200);
    const headers = { authorization: `Bearer ${secret}` };
    expect((await call(`${url}/api/cron`, { headers })).body).toEqual({ done: true });
    expect((await call(`${url}/api/cron`)).status).toBe(401);
  });
});

describe('vercel.json', () => {
  test('routes every path to the main function, and cron requests to the cron function', () => {
    expect(file.rewrites).toEqual([{ source: '/(.*)', destination: '/api/index' }]);
    for (const { path } of file.crons)
      expect(existsSync(new URL(`../..${path}.js`, import.meta.url))).toBe(true);
  });

  test('allows enough time for work after the response', () => {
    // A response takes at most 14 s, and work continues for up to 40 s after it. A cron invocation takes up to 50 s.
    for (const { maxDuration, memory } of Object.values(file.functions)) {
      expect(maxDuration).toBeGreaterThanOrEqual(60);
      expect(memory).toBeGreaterThanOrEqual(2048);
    }
  });

  test('publishes no project files, and disables the parsing of request bodies', () => {
    expect(file.outputDirectory).toBe('deploy/vercel/public');
    expect(file.build.env).toEqual({ NODEJS_HELPERS: '0' });
  });
});
