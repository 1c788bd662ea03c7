import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { startServer } from '../support/process/server.ts';
import { createKey } from '../support/process/vitrine-keys.ts';
import { createServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { services } from '../support/services.ts';

const secret = 'a-secret-of-tests-0123456789abcdef';
const bootstrapKey = 'a-bootstrap-key-of-tests-0123456789';

async function createDataFolder(): Promise<string> {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

async function runDoctor(env: Record<string, string>, folder?: string) {
  const { code, stdout } = await runVitrine(['doctor'], env, folder);
  return {
    code,
    lines: stdout.split('\n').filter((line) => /^(?:ok|note|FAIL) {2,}access |^note {2}\S/.test(line)),
    stdout,
  };
}

test('says who may use a server on this machine', async () => {
  const { code, lines } = await runDoctor({ DATA_DIR: await createDataFolder() });
  expect([code, lines]).toEqual([
    0,
    ['ok    access       AUTH=open: no access control, but only this machine can reach the server'],
  ]);
});

test('fails, without other notes about exposure, if a server would not start', async () => {
  const { code, lines, stdout } = await runDoctor({ DATA_DIR: await createDataFolder(), HOST: '0.0.0.0' });
  expect(code).toBe(1);
  expect(lines).toEqual([
    expect.stringMatching(/^FAIL {2}access +AUTH is not set, and other machines can reach/),
  ]);
  expect(stdout).toContain('→ A server with these settings does not start: see docs/access.md.');
  const weak = await runDoctor({ DATA_DIR: await createDataFolder(), AUTH: 'keys', SECRET_KEY: 'change_me' });
  expect([weak.code, weak.lines[0]]).toEqual([
    1,
    expect.stringContaining('SECRET_KEY is a publicly documented'),
  ]);
  expect(weak.stdout).not.toContain('change_me');
});

test('notes that an open server can be reached by others', async () => {
  const { code, lines } = await runDoctor({
    DATA_DIR: await createDataFolder(),
    HOST: '0.0.0.0',
    AUTH: 'open',
  });
  expect(code).toBe(0);
  expect(lines[0]).toMatch(/^note {2}HOST is 0\.0\.0\.0.*AUTH is open.*anyone who can reach the server/);
});

test('advises to create the first key, and to unset the bootstrap key afterwards', async () => {
  const env = { AUTH: 'keys', DATA_DIR: await createDataFolder() };
  const withBootstrap = { ...env, BOOTSTRAP_ADMIN_KEY: bootstrapKey };
  expect((await runDoctor(env)).stdout).toMatch(
    /^note {2}access +no API key can create others\n +→ Run vitrine keys create --name ops --role admin\.$/m,
  );
  expect((await runDoctor(withBootstrap)).stdout).toMatch(
    /^note {2}access +only BOOTSTRAP_ADMIN_KEY can create API keys\n +→ Create a key/m,
  );
  // These keys cannot create keys for all tenants.
  await createKey(env, '--role', 'editor');
  await createKey(env, '--role', 'admin', '--tenant', 'shop');
  expect((await runDoctor(env)).stdout).toContain('no API key can create others');
  const key = await createKey(env, '--role', 'admin');
  const report = await runDoctor(env);
  expect([report.code, report.lines]).toEqual([
    0,
    [
      expect.stringMatching(
        /^ok {4}access +AUTH=keys: requests need an API key; the secret is in .*secret-key$/,
      ),
      'ok    access       an API key of all tenants can create others',
    ],
  ]);
  const withBoth = await runDoctor(withBootstrap);
  expect(withBoth.stdout).toMatch(
    /^note {2}access +BOOTSTRAP_ADMIN_KEY is set, although an API key can create others\n +→ Unset BOOTSTRAP_ADMIN_KEY/m,
  );
  for (const text of [key, bootstrapKey]) expect(withBoth.stdout + report.stdout).not.toContain(text);
});

describe('keys whose secret is missing', () => {
  const problem =
    'The only active API key was hashed with a secret that is no longer in SECRET_KEY, so it does not work.';

  async function replaceSecret() {
    const env = { AUTH: 'keys', DATA_DIR: await createDataFolder() };
    await createKey({ ...env, SECRET_KEY: secret }, '--role', 'admin');
    return { ...env, SECRET_KEY: secret.toUpperCase() };
  }

  test('fail the check if no key works, and are noted if other keys work', async () => {
    const env = await replaceSecret();
    const { code, stdout } = await runDoctor(env);
    expect([code, stdout]).toEqual([1, expect.stringContaining(problem)]);
    expect(stdout).toMatch(/^FAIL {2}access .*\n {6}→ Add the old secret after the new one/m);
    await createKey(env, '--role', 'admin');
    const withSecondKey = await runDoctor(env);
    expect(withSecondKey.code).toBe(0);
    expect(withSecondKey.stdout).toMatch(
      /^note {2}access +1 of 2 active API keys were hashed .*, so it does/m,
    );
  });

  test('cannot create others, even if different keys work', async () => {
    const env = await replaceSecret();
    await createKey(env, '--role', 'reader');
    expect((await runDoctor(env)).stdout).toMatch(/^note {2}access +no API key can create others$/m);
    const server = await startServer(env, env.DATA_DIR);
    await expect.poll(() => server.log()).toContain('there is no API key that can create others');
    expect((await runDoctor(env)).stdout).toMatch(/^note {2}access +no API key can create others$/m);
  });

  test('are counted before it is removed', async () => {
    const env = await replaceSecret();
    const withBoth = { ...env, SECRET_KEY: `${env.SECRET_KEY},${secret}` };
    await createKey(withBoth, '--role', 'reader');
    expect((await runDoctor(withBoth)).stdout).toMatch(
      /^note {2}access +1 of 2 active API keys still needs an old secret\n +→ Keep the old secret/m,
    );
  });

  test('are reported by the log of a server, and by commands beside it', async () => {
    const env = await replaceSecret();
    const server = await startServer(env, env.DATA_DIR);
    await expect.poll(() => server.log()).toContain(`${problem} Add the old secret after the new one`);
    const { code, stdout } = await runDoctor(env);
    expect([code, stdout]).toEqual([1, expect.stringContaining(problem)]);
    expect((await runVitrine(['keys', 'list'], env)).stdout).toContain('unusable (old secret)');
  });
});

test('checks the keys of a running server', async () => {
  const server = await startServer({ AUTH: 'keys' });
  const env = { AUTH: 'keys', DATA_DIR: server.dataDir };
  expect((await runDoctor(env)).stdout).toContain('no API key can create others');
  await createKey(env, '--role', 'admin');
  const { stdout } = await runDoctor(env);
  expect(stdout).toMatch(/^ok {4}server /m);
  expect(stdout).toContain('an API key of all tenants can create others');
});

test('fails if the running server has a different access mode', async () => {
  const [closed, open] = [await startServer({ AUTH: 'keys' }), await startServer({ AUTH: 'open' })];
  const besideClosed = await runDoctor({ DATA_DIR: closed.dataDir });
  expect(besideClosed.code).toBe(1);
  expect(besideClosed.stdout).toMatch(
    /^FAIL {2}access +the running server requires an API key, but AUTH is open in .*\n {6}→ Put the settings .*\.env/m,
  );
  const besideOpen = await runDoctor({ DATA_DIR: open.dataDir, AUTH: 'keys' });
  expect([besideOpen.code, besideOpen.stdout]).toEqual([
    1,
    expect.stringContaining('the running server requires no API key, but AUTH is keys'),
  ]);
});

test.runIf(process.platform !== 'win32')('notes secrets in files that other users may read', async () => {
  const [folder, dataDir] = [await makeFolder(), await createDataFolder()];
  onTestFinished(() => removeFolder(folder));
  const env = { AUTH: 'keys', DATA_DIR: dataDir };
  await createKey(env, '--role', 'admin');
  const [dotEnv, secretFile] = [join(folder, '.env'), join(dataDir, 'secret-key')];
  await writeFile(dotEnv, `VITRINE_API_KEY=${secret}\n`, { mode: 0o640 });
  await chmod(secretFile, 0o644);
  const { code, stdout } = await runDoctor(env, folder);
  expect(code).toBe(0);
  expect(stdout).toContain(
    `other users of this machine may read ${secretFile} (mode 0644)\n      → Run chmod 600 ${secretFile}.`,
  );
  expect(stdout).toContain(`may read ${dotEnv} (mode 0640)`);
  expect(stdout).not.toContain(secret);
});

test.runIf(services.databaseUrl)(
  'checks the keys in a PostgreSQL database',
  { tags: 'scenario' },
  async () => {
    const { name, remove } = await createServerDatabase(true);
    onTestFinished(remove);
    const env = {
      AUTH: 'keys',
      SECRET_KEY: `${secret},${secret.toUpperCase()}`,
      DATABASE_URL: serverDatabaseUrl(name),
      DATA_DIR: await createDataFolder(),
    };
    const before = await runDoctor(env);
    expect(before.lines[0]).toContain('2 secrets in SECRET_KEY');
    expect(before.stdout).toContain('no API key can create others');
    await createKey(env, '--role', 'admin');
    expect((await runDoctor(env)).stdout).toContain('an API key of all tenants can create others');
  },
);
