import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { nameOptions } from '../../src/cli/request-errors.ts';
import { startServer } from '../support/process/server.ts';
import { expect, onTestFinished, test } from 'vitest';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, makeFolder, removeFolder } from '../support/process/data-folder.ts';

async function createTemporaryFolder(create: () => Promise<string>): Promise<string> {
  const folder = await create();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

test('does not create an installation in a folder that has none', async () => {
  const dataDir = join(await createTemporaryFolder(makeFolder), 'missing');
  for (const args of [
    ['keys', 'create', '--name', 'ops', '--role', 'admin'],
    ['keys', 'list'],
    ['audit', 'verify'],
  ]) {
    const { code, stdout, stderr } = await runVitrine(args, { AUTH: 'keys', DATA_DIR: dataDir });
    expect([code, stdout, stderr]).toEqual([
      args[0] === 'audit' ? 2 : 1,
      '',
      `There is no installation in ${dataDir}. Start the server first, or set DATA_DIR to the folder of an installation.\n`,
    ]);
    expect(existsSync(dataDir)).toBe(false);
  }
});

test.each([
  ['params/id: must be the id of a key', 'The id: must be the id of a key'],
  ['body/expires_in: too big', '--expires: too big'],
  ['body/scopes/0: unknown', '--scope: unknown'],
  ['querystring/constructor: unknown', 'Constructor: unknown'],
  ['A body is needed.', 'A body is needed.'],
])('names options instead of request fields: %s', (message, expected) => {
  expect(nameOptions(message)).toBe(expected);
});

test('names the option or the argument that is wrong', async () => {
  const server = await startServer({ AUTH: 'keys' });
  const env = { AUTH: 'keys', DATA_DIR: server.dataDir };
  const withoutId = await runVitrine(['keys', 'rotate'], env);
  expect([withoutId.code, withoutId.stderr]).toEqual([
    2,
    'rotate needs the id of a key; `vitrine keys list` shows the ids.\nSee: vitrine keys --help\n',
  ]);
  const withWrongId = await runVitrine(['keys', 'rotate', 'x'], env);
  expect([withWrongId.code, withWrongId.stderr]).toEqual([1, expect.stringMatching(/^The id: /)]);
  const args = ['keys', 'create', '--name', 'ops', '--role', 'admin', '--tenant', 'a/b'];
  const withWrongTenant = await runVitrine(args, env);
  expect([withWrongTenant.code, withWrongTenant.stderr]).toEqual([1, expect.stringMatching(/^--tenant: /)]);
});

const utcTime = '\\d{4}-\\d{2}-\\d{2} \\d{2}:\\d{2} UTC';

test('prints only the key on the standard output', async () => {
  const env = { AUTH: 'keys', DATA_DIR: await createTemporaryFolder(makeDataFolder) };
  const create = ['keys', 'create', '--name', 'shop', '--role', 'editor', '--tenant', 'Shop'];
  const created = await runVitrine([...create, '--expires', '90d'], env);
  expect(created.stdout).toMatch(/^vitrine_[0-9a-f]{16}_\w+\n$/);
  const id = created.stdout.slice(8, 24);
  expect(created.stderr).toMatch(
    new RegExp(
      `^The key ${id} \\(shop\\) can access the tenant Shop\\. .*\nThe tenant Shop is new\\.\nExpires ${utcTime}\\.\nIt cannot be shown again\\..*\n$`,
    ),
  );
  const second = await runVitrine(create, env);
  expect(second.stderr).not.toContain('is new');
  expect(second.stderr).toContain('\nIt does not expire.\n');

  const rotated = await runVitrine(['keys', 'rotate', id], env);
  expect(rotated.stdout).toMatch(/^vitrine_[0-9a-f]{16}_\w+\n$/);
  expect(rotated.stderr).toMatch(
    new RegExp(`\nExpires ${utcTime}\\.\n.*\nThe old key ${id} works until ${utcTime}\\.\n$`),
  );
  const replacementId = rotated.stdout.slice(8, 24);
  const again = await runVitrine(['keys', 'rotate', id], env);
  expect([again.code, again.stdout, again.stderr]).toEqual([
    1,
    '',
    expect.stringContaining(`was already replaced by ${replacementId}; rotate that one`),
  ]);
  const immediately = await runVitrine(['keys', 'rotate', replacementId, '--overlap', '0'], env);
  expect(immediately.stderr).toContain(`The old key ${replacementId} no longer works.\n`);
});

test('rejects options and values that an action would ignore or exceed', async () => {
  const env = { AUTH: 'keys', DATA_DIR: await createTemporaryFolder(makeDataFolder) };
  const id = '0'.repeat(16);
  const create = ['keys', 'create', '--name', 'x', '--role', 'reader'];
  for (const [args, message] of [
    [['keys', 'rotate', id, '--expires', '90d'], 'keeps the expiry; to extend it, create a new key.'],
    [['keys', 'rotate', id, '--role', 'admin'], '--role cannot be used with rotate, only with create.'],
    [['keys', 'list', '--tenant', 'shop'], '--tenant cannot be used with list, only with create.'],
    [
      ['keys', 'revoke', id, '--scope', 'images.read'],
      '--scope cannot be used with revoke, only with create.',
    ],
    [[...create, '--descendants'], '--descendants cannot be used with create, only with revoke.'],
    [['keys', 'rotate', id, '--overlap', '31d'], '--overlap must be from 0 to 30d, not "31d".'],
    [[...create, '--expires', '11y'], '--expires must be from 1s to 10y, not "11y".'],
    [[...create, '--expires', '0'], '--expires must be from 1s to 10y, not "0".'],
    [['keys', 'create', '--name', 'x'.repeat(101), '--role', 'reader'], '--name must have at most 100 char'],
  ] as const) {
    const { code, stdout, stderr } = await runVitrine(args, env);
    expect([code, stdout, stderr], args.join(' ')).toEqual([2, '', expect.stringContaining(message)]);
  }
});

test.each(['a server', 'the database'])('revokes keys through %s, and says which', async (through) => {
  const server = through === 'a server' ? await startServer({ AUTH: 'keys' }) : undefined;
  const dataDir = server?.dataDir ?? (await createTemporaryFolder(makeDataFolder));
  const env = { AUTH: 'keys', DATA_DIR: dataDir };
  const run = async (...args: string[]) => (await runVitrine(['keys', ...args], env)).stdout;
  const id = (await run('create', '--name', 'ops', '--role', 'admin')).slice(8, 24);
  const replacementId = (await run('rotate', id)).slice(8, 24);
  expect(await run('revoke', id)).toBe(
    `Revoked ${id} (ops).\n1 key that was created or rotated from it still works; to revoke them too, add --descendants.\n`,
  );
  expect(JSON.parse(await run('revoke', id, '--descendants', '--json'))).toEqual({
    revoked: [{ id: replacementId, name: 'ops' }],
    active_descendants: 0,
  });
  expect(await run('revoke', id)).toBe(`The key ${id} had been revoked before.\n`);
});

test('lists the creator of each key, and the keys that need an old secret', async () => {
  const [oldSecret, newSecret] = [
    'the old secret of this test 0123456789',
    'the new secret of this test 0123456789',
  ];
  const env = { AUTH: 'keys', DATA_DIR: await createTemporaryFolder(makeDataFolder) };
  const create = ['keys', 'create', '--name', 'ops', '--role', 'admin'];
  await runVitrine(create, { ...env, SECRET_KEY: oldSecret });
  const { stdout } = await runVitrine(['keys', 'list'], { ...env, SECRET_KEY: `${newSecret},${oldSecret}` });
  expect(stdout).toMatch(
    /^[0-9a-f]{16} +ops +\(all\) +admin +active, needs an old secret +never +operator on this machine$/m,
  );
});

test('lists what replaced a key, and says if keys are ignored', async () => {
  const env = { DATA_DIR: await createTemporaryFolder(makeDataFolder) };
  const create = ['keys', 'create', '--name', 'ops', '--role', 'admin', '--json'];
  const created = await runVitrine(create, { ...env, AUTH: 'open' });
  expect(created.stderr).toContain('AUTH is open, so keys are ignored until you set AUTH=keys.');
  const { id } = JSON.parse(created.stdout) as { id: string };
  const rotated = await runVitrine(['keys', 'rotate', id, '--json'], { ...env, AUTH: 'keys' });
  expect(rotated.stderr).not.toContain('AUTH is open');
  const { id: newId } = JSON.parse(rotated.stdout) as { id: string };
  const { stdout } = await runVitrine(['keys', 'list'], { ...env, AUTH: 'keys' });
  expect(stdout).toMatch(new RegExp(`^${id} .* replaced by ${newId}, until ${utcTime} `, 'm'));
  expect(stdout).toMatch(new RegExp(`^${newId} .* active `, 'm'));
});
