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

async function expectSecondServerRejected(lockHolder: Server): Promise<void> {
  const secondServer = launch(lockHolder.dataDir);
  onTestFinished(() => secondServer.kill9());
  expect(await secondServer.exited).toEqual({ code: 1, signal: null });
  expect(secondServer.log()).toContain(`process ${lockHolder.pid}`);
  expect(secondServer.log()).toContain(lockHolder.url);
  expect(secondServer.log()).toMatch(/Stop that process first, or set DATA_DIR/);
}

test('rejects a second server on the same data folder without affecting the first server', async () => {
  const firstServer = await startServer();
  const { id } = (await upload(firstServer.url, await jpeg('kept'))).body;
  await expectSecondServerRejected(firstServer);
  expect((await call(`${firstServer.url}/v1/images/${id}`)).status).toBe(200);
  expect((await upload(firstServer.url, await jpeg('more'))).status).toBe(201);
});

test('keeps the lock of a suspended server', async () => {
  const firstServer = await startServer();
  // When the server responds, it has also recorded its address.
  expect((await call(`${firstServer.url}/healthz`)).status).toBe(200);
  process.kill(firstServer.pid, 'SIGSTOP');
  await expectSecondServerRejected(firstServer);
  process.kill(firstServer.pid, 'SIGCONT');
  expect((await call(`${firstServer.url}/healthz`)).status).toBe(200);
});

const serverCount = isThorough ? 10 : 3;

test('allows only one of several servers that start concurrently on the same data folder', async () => {
  const folder = await makeDataFolder();
  const servers = Array.from({ length: serverCount }, () => launch(folder));
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.kill9()));
    await removeFolder(folder);
  });
  const outcomes = await Promise.allSettled(servers.map((server) => server.ready()));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const rejectedServers = servers.filter((_, index) => outcomes[index]?.status === 'rejected');
  for (const server of rejectedServers) {
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.log()).toMatch(/is in use by/);
  }
});

test('releases the lock immediately when the server is killed', async () => {
  const firstServer = await startServer();
  const bytes = await jpeg('before the kill');
  const { id } = (await upload(firstServer.url, bytes)).body;
  await firstServer.kill9();
  const secondServer = await startServer({}, firstServer.dataDir);
  expect(sha256((await call(`${secondServer.url}/v1/images/${id}/original`)).bytes)).toBe(sha256(bytes));
});

/**
 * A program that starts a server and prints the server's pid. While the program is suspended, it cannot reap the
 * server.
 */
const nonReapingParent = `
const { spawn } = require('node:child_process');
const child = spawn(process.execPath, [process.argv[1], 'serve'], { stdio: ['ignore', 'inherit', 'inherit'] });
console.log('child ' + child.pid);
`;

test.runIf(process.platform === 'linux')('releases the lock of a zombie process', async () => {
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
  const nextServer = await startServer({}, folder);
  expect(state()).toBe('Z');
  expect((await upload(nextServer.url, await jpeg('after the zombie'))).status).toBe(201);
});
