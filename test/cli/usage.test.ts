import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runProgram, runVitrine } from '../support/process/command.ts';

const commands = ['serve', 'worker', 'migrate', 'doctor', 'import', 'purge', 'seed'];
const launcher = fileURLToPath(new URL('../../bin/vitrine.js', import.meta.url));
const versionMessage = /Vitrine needs Node 24\.12 or newer; this is \d+/;

test('prints help that lists every command', async () => {
  for (const args of [['help'], ['--help'], ['-h'], []]) {
    const { code, stdout, stderr } = await runVitrine(args, {});
    expect([code, stderr]).toEqual([0, '']);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
  }
});

test("lists a command's options in its help", async () => {
  const { code, stdout } = await runVitrine(['import', '--help'], { PORT: 'not read' });
  expect(code).toBe(0);
  for (const option of ['--url', '--tenant', '--concurrency', '--queued', '--json'])
    expect(stdout).toContain(option);
  expect(stdout).toContain('If the server requires an API key, set VITRINE_API_KEY.');
});

test.each(['serv', 'constructor', '__proto__', '--version=1'])(
  'prints the help and exits with code 2 for the unknown command %s',
  async (name) => {
    const { code, stdout, stderr } = await runVitrine([name], {});
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`Unknown command "${name}".`);
    expect(stderr).toMatch(/^ {2}serve\b/m);
  },
);

test.each([
  [['serve', '--port', '80'], /--port/],
  [['serve', 'now'], /now/],
  [['import'], /Specify the files or folders to import/],
  [['import', 'x', '--concurrency', '0'], /--concurrency must be a whole number from 1 to 64, not "0"/],
  [['seed', '--products', 'many'], /--products must be a whole number from 1 to 500, not "many"/],
])('rejects the arguments %j with exit code 2, and refers to the help', async (args, words) => {
  const { code, stderr } = await runVitrine(args, { DATA_DIR: '/nowhere' });
  expect(code).toBe(2);
  expect(stderr).toMatch(words);
  expect(stderr).toContain(`See: vitrine ${args[0]} --help`);
});

test('runs the program through the launcher', async () => {
  const { code, stdout } = await runProgram(process.execPath, [launcher, 'help'], {});
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Usage: vitrine <command>/);
});

/** Returns the path of a Node executable in PATH whose version is too old for Vitrine. */
function findOldNode(): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return candidates.find((path) => {
    if (!existsSync(path)) return false;
    const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    return Number(/^v(\d+)/.exec(stdout)?.[1]) < 24;
  });
}

const oldNode = findOldNode();
if (oldNode === undefined)
  console.log('SKIPPED: the test with an old Node version. It needs a Node version below 24 in PATH.');

test.skipIf(oldNode === undefined)('prints the required version if the Node version is too old', async () => {
  const { code, stdout, stderr } = await runProgram(oldNode ?? '', [launcher, 'help'], {});
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(versionMessage);
  expect(stderr).toMatch(/npx vitrine/);
});

test('keeps the launcher compatible with old Node versions', () => {
  const source = readFileSync(launcher, 'utf8');
  expect(source).toMatch(/^#!\/usr\/bin\/env node\n/);
  expect(source).not.toMatch(/\bimport\b.*\.ts['"]/);
});
