import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { cleanEnvironment, mainModule } from '../support/process/command.ts';
import { call, upload } from '../support/process/client.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';

const linuxOnly = test.runIf(process.platform === 'linux');

/** Returns the environment of each process in a process group, as any of the user's processes can read it. */
function readGroupEnvironments(group: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
        if (Number(fields.split(' ')[2]) !== group) return [];
        return [readFileSync(`/proc/${pid}/environ`, 'utf8')];
      } catch {
        return [];
      }
    });
}

linuxOnly('removes secrets from the environment of every process, and still uses them', async () => {
  const secrets = {
    PURGE_CONFIRM_TOKEN: 'token-hidden',
    SECRET_KEY: 'key-hidden',
    AWS_SECRET_ACCESS_KEY: 'bucket-hidden',
    REDIS_PASSWORD: 'queue-hidden',
  };
  const server = await startServer(secrets);
  expect((await upload(server.url, await jpeg('secret'))).status).toBe(201);
  const environments = readGroupEnvironments(server.pid);
  expect(environments.length).toBeGreaterThan(1);
  for (const environment of environments) expect(environment).not.toContain('hidden');
  // The server has received the secrets through a different channel.
  const purge = (token: string) =>
    call(`${server.url}/v1/purge`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ confirm_token: token, dry_run: false }),
    });
  expect((await purge('wrong-token')).status).toBe(403);
  expect((await purge(secrets.PURGE_CONFIRM_TOKEN)).status).toBe(200);
  expect(await server.stop()).toMatchObject({ code: 0 });
  expect(server.log()).not.toMatch(/can read|hidden|execve/);
});

linuxOnly('does not open the debugger on SIGUSR1', async () => {
  const server = await startServer();
  process.kill(server.pid, 'SIGUSR1');
  expect((await call(`${server.url}/v1/healthz`)).status).toBe(200);
  expect(await server.stop()).toMatchObject({ code: 0 });
  expect(server.log()).not.toContain('Debugger');
});

linuxOnly('warns about readable secrets if the process cannot re-execute itself without them', async () => {
  const folder = await makeDataFolder();
  const env = { HOST: '127.0.0.1', PORT: '0', DATA_DIR: folder, SECRET_KEY: 'key-hidden' };
  const server = spawn(process.execPath, [mainModule, 'serve'], {
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const exited = new Promise((resolve) => server.once('exit', resolve));
  onTestFinished(async () => {
    server.kill('SIGKILL');
    await exited;
    await removeFolder(folder);
  });
  let log = '';
  for (const stream of [server.stdout, server.stderr]) stream?.on('data', (chunk) => (log += String(chunk)));
  await expect.poll(() => log).toContain('can read SECRET_KEY');
  expect(log).toContain('its IPC channel');
  expect(log).not.toContain('hidden');
});
