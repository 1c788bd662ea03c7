import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { call, upload } from '../support/process/client.ts';
import { cleanEnvironment, mainModule } from '../support/process/command.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg, sha256 } from '../support/process/pictures.ts';
import { launch, type Server, startServer } from '../support/process/server.ts';
import { isThorough } from '../support/thoroughness.ts';

async function expectRejected(holder: Server): Promise<void> {
  const second = launch(holder.dataDir);
  onTestFinished(() => second.kill9());
  expect(await second.exited).toEqual({ code: 1, signal: null });
  expect(second.log()).toContain(`process ${holder.pid}`);
  expect(second.log()).toContain(holder.url);
  expect(second.log()).toMatch(/Stop that process first, or set DATA_DIR/);
}

test('rejects a second server on the same folder without affecting the first', async () => {
  const first = await startServer();
  const { id } = (await upload(first.url, await jpeg('kept'))).body;
  await expectRejected(first);
  expect((await call(`${first.url}/v1/images/${id}`)).status).toBe(200);
  expect((await upload(first.url, await jpeg('more'))).status).toBe(201);
});

test('keeps the lock of a suspended server', async () => {
  const first = await startServer();
  // Once it responds, it has also recorded its address.
  expect((await call(`${first.url}/healthz`)).status).toBe(200);
  process.kill(first.pid, 'SIGSTOP');
  await expectRejected(first);
  process.kill(first.pid, 'SIGCONT');
  expect((await call(`${first.url}/healthz`)).status).toBe(200);
});

const starts = isThorough ? 10 : 3;

test('runs only one of several servers that start at once on the same folder', async () => {
  const folder = await makeDataFolder();
  const servers = Array.from({ length: starts }, () => launch(folder));
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.kill9()));
    await removeFolder(folder);
  });
  const outcomes = await Promise.allSettled(servers.map((server) => server.ready()));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const rejected = servers.filter((_, index) => outcomes[index]?.status === 'rejected');
  for (const server of rejected) {
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.log()).toMatch(/is in use by/);
  }
});

test('releases the lock at once when the server is killed', async () => {
  const first = await startServer();
  const bytes = await jpeg('before the kill');
  const { id } = (await upload(first.url, bytes)).body;
  await first.kill9();
  const second = await startServer({}, first.dataDir);
  expect(sha256((await call(`${second.url}/v1/images/${id}/original`)).bytes)).toBe(sha256(bytes));
});

/** Starts a server, prints its pid and never reaps it once suspended. */
const nonReapingParent = `
const { spawn } = require('node:child_process');
const child = spawn(process.execPath, [process.argv[1], 'serve'], { stdio: ['ignore', 'inherit', 'inherit'] });
console.log('child ' + child.pid);
`;

test.runIf(process.platform === 'linux')('releases the lock of a zombie', async () => {
  const folder = await makeDataFolder();
  const parent = spawn(process.execPath, ['-e', nonReapingParent, mainModule], {
    cwd: tmpdir(),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: cleanEnvironment({ HOST: '127.0.0.1', PORT: '0', DATA_DIR: folder }),
  });
  let log = '';
  parent.stdout.on('data', (chunk) => (log += String(chunk)));
  onTestFinished(async () => {
    parent.kill('SIGKILL');
    if (parent.exitCode === null && parent.signalCode === null) await once(parent, 'exit');
    await removeFolder(folder);
  });
  await expect.poll(() => log).toMatch(/listens on/);
  const pid = Number(/child (\d+)/.exec(log)?.[1]);
  parent.kill('SIGSTOP');
  process.kill(pid, 'SIGKILL');
  const state = () => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  await expect.poll(state).toBe('Z');
  const next = await startServer({}, folder);
  expect(state()).toBe('Z');
  expect((await upload(next.url, await jpeg('after the zombie'))).status).toBe(201);
});
