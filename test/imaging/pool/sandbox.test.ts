import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { DecoderPool } from '../../../src/imaging/pool/decoder-pool.ts';
import { limits } from '../fixtures/pictures.ts';
import type { Targets } from '../fixtures/hostile-child.ts';
import { childModule, makeTestPool, makePictureFolder } from './setup.ts';

const deniedCode = 'ERR_ACCESS_DENIED';
const projectFolder = fileURLToPath(new URL('../../..', import.meta.url));

/** Starts a server that accepts connections and sends nothing. */
async function listen(address: { path: string } | { port: number; host: string }): Promise<net.Server> {
  const server = net.createServer((socket) => socket.on('error', () => undefined).end());
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(address, resolve));
  return server;
}

interface AttackSetup {
  /** The data folder. */
  readonly folder: string;
  /** The folder to which the child must not write. */
  readonly output: string;
  /** The uploaded file that attacks the data folder. */
  readonly path: string;
}

/** Creates a data folder with secrets and another tenant's picture, and an upload that attacks them. */
async function setUpAttack(): Promise<AttackSetup> {
  const folder = await makePictureFolder('other-original.jpg');
  const output = join(folder, 'outside');
  await mkdir(output);
  await writeFile(join(folder, '.env'), 'SECRET_KEY=do-not-read');
  await writeFile(join(folder, 'secret.json'), '{"password":"do-not-read"}');
  const tcpServer = await listen({ port: 0, host: '127.0.0.1' });
  const socket = join(folder, 'socket');
  await listen({ path: socket });
  const targets: Targets = {
    files: {
      '.env': join(folder, '.env'),
      secret: join(folder, 'secret.json'),
      original: join(folder, 'other-original.jpg'),
      // A package file that the child may read but not load.
      addon: findLibraryFile(),
    },
    folder: output,
    port: (tcpServer.address() as net.AddressInfo).port,
    socket,
    parent: process.pid,
  };
  const path = join(folder, 'attack');
  await writeFile(path, JSON.stringify(targets));
  return { folder, output, path };
}

/** Returns the path of a package's shared library. */
function findLibraryFile(): string {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve('fs-native-extensions/package.json'));
  const library = readdirSync(join(folder, 'prebuilds'), { recursive: true, encoding: 'utf8' }).find(
    (name) => name.startsWith(`${process.platform}-${process.arch}`) && name.endsWith('.node'),
  );
  return join(folder, 'prebuilds', library ?? 'none');
}

/** Runs the hostile child. Returns the outcome of each attempt. */
async function attack(
  { folder, path }: AttackSetup,
  launcher: readonly string[] = [],
): Promise<Record<string, string>> {
  let output = '';
  const ignore = () => undefined;
  const warn = (fields: object) => void (output += 'output' in fields ? String(fields.output) : '');
  const pool = makeTestPool({
    childModule: childModule('hostile-child'),
    logger: { debug: ignore, info: ignore, warn, error: ignore },
    workDirectory: join(folder, 'decoders'),
    launcher,
  });
  await expect(pool.describe({ path, limits, priority: 0 })).rejects.toMatchObject({
    code: 'picture_damaged',
    message: expect.stringMatching(/^attack\.\d+ is not a picture/) as string,
  });
  await expect.poll(() => output).toContain('environment');
  return JSON.parse(/^\{.*\}$/m.exec(output)?.[0] ?? '') as Record<string, string>;
}

test('lets a child read only its input and code, and prevents it from writing files or starting processes', async () => {
  vi.stubEnv('SERVER_PASSWORD', 'do-not-read');
  onTestFinished(() => void vi.unstubAllEnvs());
  const setup = await setUpAttack();
  const outcomes = await attack(setup);
  const unrestrictedAttempts = new Set(['tcp', 'unix', 'signal']);
  const canDropPermissions = outcomes['typeof permission.drop'] === 'function';
  if (canDropPermissions) expect(outcomes['addon']).toBe(deniedCode);
  else unrestrictedAttempts.add('addon');
  const isAddonRead = (name: string) => name.startsWith('addon: ');
  const unexpectedSuccesses = Object.entries(outcomes).filter(
    ([name, outcome]) => outcome === 'succeeded' && !unrestrictedAttempts.has(name) && !isAddonRead(name),
  );
  expect(unexpectedSuccesses).toEqual([]);
  expect(outcomes).toMatchObject({
    '.env: readFile': deniedCode,
    'secret: open': deniedCode,
    'original: readFile': deniedCode,
    'original: hard link': deniedCode,
    'secret: symbolic link': deniedCode,
    'parent environment': deniedCode,
    'parent memory': deniedCode,
    'list other children': deniedCode,
    'change input': deniedCode,
    writeFile: deniedCode,
    process: deniedCode,
    worker: deniedCode,
    inspector: deniedCode,
    database: 'ERR_UNKNOWN_BUILTIN_MODULE',
    environment: expect.not.stringMatching(/SERVER_PASSWORD/) as string,
  });
  expect(readdirSync(setup.output)).toEqual([]);
  // As documented, connections and signals are prevented only by a launcher, which is a sandbox command that starts the
  // child. Node 25 adds a network permission.
  const isNetworkLimited = process.allowedNodeEnvironmentFlags.has('--allow-net');
  expect(outcomes).toMatchObject({ tcp: isNetworkLimited ? deniedCode : 'succeeded', signal: 'succeeded' });
});

/** The command in `docs/decoder-sandbox.md`, with the paths of this checkout. */
const bubblewrap = [
  'bwrap --unshare-all --die-with-parent --new-session --cap-drop ALL --ro-bind /usr /usr',
  '--ro-bind-try /lib /lib --ro-bind-try /lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp',
  ...['src', 'test', 'node_modules', 'package.json'].map((name) => bind(join(projectFolder, name))),
  `${bind(dirname(process.execPath))} ${bind('{folder}')}`,
].flatMap((words) => words.split(' '));

function bind(path: string): string {
  return `--ro-bind ${path} ${path}`;
}

describe.each([
  [
    'unshare',
    ['unshare', '--net', '--map-root-user'],
    { tcp: /ENETUNREACH|DENIED/, unix: /succeeded|DENIED/, signal: /succeeded/ },
  ],
  ['bwrap', bubblewrap, { tcp: /ENETUNREACH|ECONNREFUSED|DENIED/, unix: /ENOENT|DENIED/, signal: /ESRCH/ }],
] as const)('the launcher %s', (name, launcher, expected) => {
  const trialArguments =
    name === 'bwrap'
      ? ['--unshare-all', '--ro-bind', '/', '/', 'true']
      : ['--net', '--map-root-user', 'true'];
  const { status } = spawnSync(name, trialArguments);
  if (status !== 0) console.log(`skipped: ${name} is not installed, or this system does not allow its use`);

  test.skipIf(status !== 0)('denies a child network access, but lets it decode pictures', async () => {
    const setup = await setUpAttack();
    const outcomes = await attack(setup, launcher);
    for (const [attempt, outcome] of Object.entries(expected))
      expect(outcomes[attempt], attempt).toMatch(outcome);
    const pool = sandboxedPool(launcher, setup.folder);
    const path = join(setup.folder, 'other-original.jpg');
    await expect(pool.probe({ path, limits })).resolves.toMatchObject({ width: 300 });
  });

  test.skipIf(status !== 0)('exits if its child hangs or uses too much memory', async () => {
    const folder = await makePictureFolder('good.jpg', 'hang-1.jpg', 'leak-1.jpg');
    const pool = sandboxedPool(launcher, folder);
    const describePicture = (file: string, signal?: AbortSignal) =>
      pool.describe({ path: join(folder, file), limits, priority: 0, ...(signal && { signal }) });
    await expect(describePicture('leak-1.jpg')).rejects.toThrow(/limit is 300 MB/);
    const hangingRequest = describePicture('hang-1.jpg', AbortSignal.timeout(300));
    await expect(hangingRequest).rejects.toThrow(/timeout/);
    await describePicture('good.jpg');
    await pool.close();
    await expect.poll(() => findProcesses(folder)).toEqual([]);
  });
});

test('rejects requests if the launcher cannot be started, and logs the reason', async () => {
  const reasons: unknown[] = [];
  const ignore = () => undefined;
  const warn = (fields: object) => void reasons.push('err' in fields ? fields.err : undefined);
  const logger = { debug: ignore, info: ignore, warn, error: ignore };
  const pool = makeTestPool({ launcher: ['no-such-launcher'], logger });
  const folder = await makePictureFolder('good.jpg');
  await expect(pool.probe({ path: join(folder, 'good.jpg'), limits })).rejects.toMatchObject({
    code: 'unavailable',
  });
  expect(String(reasons[0])).toContain('no-such-launcher');
});

function sandboxedPool(launcher: readonly string[], folder: string): DecoderPool {
  return makeTestPool({ workDirectory: join(folder, 'decoders'), launcher, memoryMb: 300 });
}

/** Returns the ids of the processes whose command line contains `folder`. */
function findProcesses(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && readCommandLine(pid).includes(folder));
}

function readCommandLine(pid: string): string {
  const { stdout } = spawnSync('cat', [`/proc/${pid}/cmdline`], { encoding: 'utf8' });
  return existsSync(`/proc/${pid}`) && pid !== String(process.pid) ? stdout : '';
}
