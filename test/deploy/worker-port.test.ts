import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { call } from '../support/process/client.ts';
import { cleanEnvironment, mainModule, runVitrine } from '../support/process/command.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';

async function createDataFolder(): Promise<string> {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

test('serves only health and metrics on WORKER_PORT', async () => {
  const env = cleanEnvironment({ DATA_DIR: await createDataFolder(), WORKER_PORT: '0', LOG_FORMAT: 'json' });
  const child = spawn(process.execPath, [mainModule, 'worker'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let log = '';
  child.stdout.on('data', (chunk) => (log += String(chunk)));
  await expect.poll(() => log).toMatch(/this worker serves http:\/\/\S+/);
  const url = /this worker serves (http:\/\/[\w.:]+)/.exec(log)?.[1] ?? '';

  const health = await call(`${url}/healthz`);
  expect(health.status).toBe(200);
  expect(health.body).toEqual({
    status: 'healthy',
    checks: { database: { ok: true }, storage: { ok: true }, queue: { ok: true }, decoders: { ok: true } },
  });
  const metrics = await call(`${url}/metrics`);
  expect(metrics.headers.get('content-type')).toMatch(/^text\/plain/);
  expect(metrics.bytes.toString()).toMatch(/^vitrine_build_info/m);
  for (const response of [
    call(`${url}/`),
    call(`${url}/v1/images`),
    call(`${url}/healthz`, { method: 'POST' }),
  ])
    expect(await response).toMatchObject({
      status: 404,
      body: { code: 'route_not_found', detail: expect.stringMatching(/^This is a worker/) as string },
    });

  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});

test('exits with a message if WORKER_PORT is in use', { tags: 'scenario' }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const env = { DATA_DIR: await createDataFolder(), WORKER_PORT: String(port) };
  const { code, stderr } = await runVitrine(['worker'], env);
  expect(code).toBe(1);
  expect(stderr).toContain(`EADDRINUSE: address already in use 127.0.0.1:${port}`);
  expect(stderr).toContain('WORKER_PORT');
});
