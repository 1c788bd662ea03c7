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
      1,
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
  expect(stdout).toMatch(
    new RegExp(`^${id} .* replaced by ${newId}, until \\d{4}-\\d{2}-\\d{2} \\d{2}:\\d{2} `, 'm'),
  );
  expect(stdout).toMatch(new RegExp(`^${newId} .* active `, 'm'));
});
