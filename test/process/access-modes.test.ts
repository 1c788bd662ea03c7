import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { call, expectProblem } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { startServer } from '../support/process/server.ts';
import { createKey, withKey } from '../support/process/vitrine-keys.ts';
import { startWorker } from '../support/process/worker-process.ts';

const publicUrl = { PUBLIC_URL: 'https://pictures.example.com' };
const secret = 'a-secret-of-tests-0123456789abcdef';

async function createDataFolder(): Promise<string> {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

describe('a server that other machines can reach', () => {
  test.each([
    ['serve', { HOST: '0.0.0.0', AUTH: '' }],
    ['serve', { HOST: '0.0.0.0', AUTH: ' ' }],
    ['serve', publicUrl],
    ['serve', { ALLOWED_HOSTS: 'pictures.example.com' }],
    ['worker', { HOST: '0.0.0.0', WORKER_PORT: '0' }],
  ])('does not start without AUTH: %s %j', async (command, env) => {
    const { code, stdout, stderr } = await runVitrine([command], {
      DATA_DIR: await createDataFolder(),
      ...env,
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/AUTH is not set, and other machines can reach this server: .*Set AUTH=keys/);
    // In particular no warning, because warnings describe a running server.
    expect(stdout).toBe('');
    expect(stderr).not.toContain('AUTH is open');
  });

  test('starts with AUTH=open, and warns in the log, in the detailed health and in the doctor', async () => {
    const env = { ...publicUrl, AUTH: 'open' };
    const server = await startServer(env);
    const warning = /PUBLIC_URL or ALLOWED_HOSTS contains a public host, and AUTH is open.*anyone/;
    expect(server.log()).toMatch(warning);
    const { body } = await call(`${server.url}/api/v1/health/detailed`);
    expect(body['warnings']).toContainEqual(expect.stringMatching(warning));
    const { stdout } = await runVitrine(['doctor'], { ...env, DATA_DIR: server.dataDir });
    expect(stdout).toMatch(new RegExp(`^note {2}${warning.source}`, 'm'));
  });
});

describe('AUTH=open', () => {
  test('is the default on loopback, is announced, and ignores keys', async () => {
    const server = await startServer({ AUTH: '' });
    await expect
      .poll(() => server.log())
      .toContain('AUTH=open: no access control, every program on this machine');
    for (const headers of [
      {},
      { authorization: 'Bearer nonsense' },
      { 'x-api-key': 'vitrine_0000000000000000_x' },
    ] as Record<string, string>[])
      expect((await call(`${server.url}/v1/images`, { headers })).status).toBe(200);
  });

  test('only warns about a weak secret', async () => {
    const server = await startServer({ SECRET_KEY: 'change_me', BOOTSTRAP_ADMIN_KEY: 'short' });
    expect(server.log()).toContain('SECRET_KEY is a publicly documented value');
    expect(server.log()).toContain('BOOTSTRAP_ADMIN_KEY has 5 characters');
    expect(server.log()).not.toContain('change_me');
  });
});

describe('AUTH=keys', () => {
  test('generates a secret that only its owner can read, and keeps it', async () => {
    const folder = await createDataFolder();
    const env = { AUTH: 'keys', DATA_DIR: folder };
    const server = await startServer({ AUTH: 'keys' }, folder);
    const hint = 'there is no API key that can create others: run ';
    await expect.poll(() => server.log()).toContain(hint);
    const key = await createKey(env, '--role', 'admin');
    const readMode = (name: string) => statSync(join(folder, name)).mode & 0o777;
    expect([readMode('secret-key'), readMode('operator-key')]).toEqual([0o600, 0o600]);
    const generatedSecret = readFileSync(join(folder, 'secret-key'), 'utf8');
    expect(generatedSecret).toMatch(/^[\da-f]{64}\n$/);
    await server.stop();
    const restarted = await startServer({ AUTH: 'keys' }, folder);
    expect((await call(`${restarted.url}/v1/images`, withKey(key))).status).toBe(200);
    expectProblem(await call(`${restarted.url}/v1/images`), 401, 'unauthenticated');
    expect(readFileSync(join(folder, 'secret-key'), 'utf8')).toBe(generatedSecret);
    expect(restarted.log()).not.toContain('there is no API key');
    for (const text of [key, generatedSecret.trim()])
      expect(server.log() + restarted.log()).not.toContain(text);
  });

  test('accepts keys of an older secret until it is removed, and gives them the newest one when they are used', {
    tags: 'scenario',
  }, async () => {
    const folder = await createDataFolder();
    const [old, newer] = [`old-${secret}`, `new-${secret}`];
    const createWith = (SECRET_KEY: string) =>
      createKey({ AUTH: 'keys', DATA_DIR: folder, SECRET_KEY }, '--role', 'reader');
    const keys = { used: await createWith(old), unused: await createWith(old) };
    const statuses = async (SECRET_KEY: string, ...sent: string[]) => {
      const server = await startServer({ AUTH: 'keys', SECRET_KEY }, folder);
      const results = [];
      for (const key of sent) results.push((await call(`${server.url}/v1/images`, withKey(key))).status);
      await server.stop();
      return results;
    };
    expect(await statuses(`${newer},${old}`, keys.used)).toEqual([200]);
    expect(await statuses(newer, keys.used, keys.unused)).toEqual([200, 401]);
  });

  test.each(['serve', 'worker'])(
    'does not start with a bad secret, or without one on PostgreSQL: %s',
    async (command) => {
      const start = async (env: Record<string, string>) => {
        const folder = await createDataFolder();
        return runVitrine([command], { AUTH: 'keys', DATA_DIR: folder, ...env });
      };
      for (const SECRET_KEY of ['change_me', 'too-short']) {
        const { code, stderr } = await start({ SECRET_KEY });
        expect([code, stderr]).toEqual([
          2,
          expect.stringMatching(/SECRET_KEY (?:is a publicly|has 9 characters)/),
        ]);
        expect(stderr).not.toContain(SECRET_KEY);
      }
      const { code, stderr } = await start({ DATABASE_URL: 'postgres://127.0.0.1:1/vitrine' });
      expect([code, stderr]).toEqual([2, expect.stringContaining('SECRET_KEY is not set.')]);
    },
  );

  test('creates no key for a database without the secret of its servers', async () => {
    const { code, stderr } = await runVitrine(['keys', 'create', '--name', 'ops', '--role', 'admin'], {
      DATA_DIR: await createDataFolder(),
      DATABASE_URL: 'postgres://127.0.0.1:1/vitrine',
    });
    expect([code, stderr]).toEqual([2, expect.stringContaining('SECRET_KEY is not set.')]);
  });

  test('protects the metrics of a worker, and tells only the status of its health', async () => {
    const folder = await createDataFolder();
    const env = { AUTH: 'keys', DATA_DIR: folder, WORKER_PORT: '0' };
    const [key, reader, tenantKey] = [
      await createKey(env, '--scope', 'metrics.read'),
      await createKey(env, '--role', 'reader'),
      await createKey(env, '--role', 'admin', '--tenant', 'shop'),
    ];
    const worker = await startWorker(env);
    const [, url = ''] = /this worker serves (http:\/\/[\w.:]+)/.exec(worker.log()) ?? [];
    expect((await call(`${url}/healthz`)).body).toEqual({ status: 'healthy' });
    expectProblem(await call(`${url}/metrics`), 401, 'unauthenticated');
    expectProblem(await call(`${url}/metrics`, withKey(reader)), 403, 'missing_scope');
    expectProblem(await call(`${url}/metrics`, withKey(tenantKey)), 403, 'tenant_not_allowed');
    const metrics = await call(`${url}/metrics`, withKey(key));
    expect(metrics.bytes.toString()).toContain('vitrine_build_info');
  });
});
