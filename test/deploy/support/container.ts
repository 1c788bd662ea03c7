import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { forward } from './forward.ts';
import type { ContainerRequest, Plan } from './inside.ts';
import { copyApplication, installProductionPackages } from './installation.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** Maps a host name and port inside a container to a service outside it. */
export interface HostMapping {
  readonly name: string;
  readonly port: number;
  readonly target: { readonly host: string; readonly port: number };
}

interface ContainerOptions extends Pick<Plan, 'command' | 'environment' | 'workingFolder'> {
  readonly isPid1?: boolean;
  /** Path of the writable folder inside the container. */
  readonly writableFolder?: string;
  /** Folder on this machine that is mounted at `writableFolder`. Containers can share it. */
  readonly sharedFolder?: string;
  readonly hostMappings: readonly HostMapping[];
  readonly ports?: readonly number[];
}

/** An unprivileged process that has its own network, root folder and host names, as in a container. */
export interface Container {
  /** Returns the URL of a published port. */
  url(port: number): string;
  log(): string;
  /** Runs an additional command in the same container. */
  run(...command: string[]): Promise<{ readonly status: number; readonly stdout: string }>;
  /** Resolves when the process has exited. */
  readonly exitCode: Promise<number>;
  /** Sends SIGTERM. Resolves with the exit code. */
  stop(): Promise<number>;
}

const enterScript = fileURLToPath(new URL('enter.sh', import.meta.url));
const supportFolder = fileURLToPath(new URL('.', import.meta.url));
const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--propagation', 'private'];

/** Returns whether tests can create namespaces on this machine. Prints a message if they cannot. */
export function canRunContainers(): boolean {
  const probe = 'ip link set lo up && mount -t tmpfs tmpfs /mnt && setpriv --reuid=1000 true';
  const { status } = spawnSync('unshare', [...namespaces, 'sh', '-c', probe], { stdio: 'ignore' });
  if (status === 0) return true;
  process.stdout.write('SKIPPED: tests that run deployments. They need root on Linux, unshare and ip.\n');
  return false;
}

/** Waits until the server on a published port reports that it is healthy. */
export async function waitUntilHealthy(container: Container, port: number): Promise<void> {
  const deadline = performance.now() + waitTimeoutMs;
  while (performance.now() < deadline) {
    const isHealthy = await fetch(`${container.url(port)}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isHealthy) return;
    await sleep(100);
  }
  throw new Error(
    `The server was not healthy within ${waitTimeoutMs / 1_000} s:\n${container.log().slice(-2_000)}`,
  );
}

/** Runs `vitrine keys create` in a container, as the deployment pages describe. Returns the key. */
export async function createKeyInside(container: Container, ...args: readonly string[]): Promise<string> {
  const command = ['node', 'src/main.ts', 'keys', 'create', '--name', 'ops', ...args, '--json'];
  const { status, stdout } = await container.run(...command);
  if (status !== 0) throw new Error(`The key was not created: ${container.log().slice(-2_000)}`);
  return (JSON.parse(stdout) as { key: string }).key;
}

/** Starts a command in a container and kills it at the end of the test. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const { hostMappings, ports = [] } = options;
  const folders = await prepareFolders(options);
  const servers: Server[] = [];
  for (const { name, port, target } of hostMappings)
    servers.push(await forward({ path: join(folders.sockets, `${name}-${port}`) }, target));
  const child = spawn('unshare', [...namespaces, 'sh', ...(await makeScriptArguments(options, folders))], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const urls = new Map<number, string>();
  for (const port of ports) {
    const server = await forward(
      { host: '127.0.0.1', port: 0 },
      { path: join(folders.sockets, `in-${port}`) },
    );
    urls.set(port, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    servers.push(server);
  }
  onTestFinished(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    for (const server of servers) server.close();
    await rm(folders.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  return makeContainer(child, urls);
}

interface ContainerFolders {
  readonly folder: string;
  readonly root: string;
  readonly hosts: string;
  readonly sockets: string;
  readonly application: string;
}

/** Returns the loopback address of the nth host name. */
const makeLoopbackAddress = (index: number) => `127.0.1.${index + 1}`;

async function prepareFolders({ hostMappings }: ContainerOptions): Promise<ContainerFolders> {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
  const folders = {
    folder,
    root: join(folder, 'root'),
    hosts: join(folder, 'hosts'),
    sockets: join(folder, 'sockets'),
    application: join(folder, 'application'),
  };
  await copyApplication(folders.application);
  await mkdir(folders.root);
  await mkdir(folders.sockets);
  const namedMappings = hostMappings.filter(({ name }) => name !== 'localhost');
  const lines = namedMappings.map(({ name }, index) => `${makeLoopbackAddress(index)} ${name}`);
  await writeFile(folders.hosts, ['127.0.0.1 localhost', ...lines, ''].join('\n'));
  return folders;
}

async function makeScriptArguments(options: ContainerOptions, folders: ContainerFolders): Promise<string[]> {
  const { hostMappings, ports = [], command, environment, workingFolder, isPid1 = false } = options;
  const { writableFolder = '', sharedFolder = '' } = options;
  const namedMappings = hostMappings.filter(({ name }) => name !== 'localhost');
  const plan: Plan = {
    command,
    environment: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...environment },
    workingFolder,
    isPid1,
    hostMappings: hostMappings.map(({ name, port }) => ({
      host:
        name === 'localhost'
          ? '127.0.0.1'
          : makeLoopbackAddress(namedMappings.findIndex((entry) => entry.name === name)),
      port,
      socket: `/run/sockets/${name}-${port}`,
    })),
    publishedPorts: ports.map((port) => ({ port, socket: `/run/sockets/in-${port}` })),
  };
  const modules = join(await installProductionPackages(), 'node_modules');
  const mounts = [
    folders.root,
    process.execPath,
    folders.hosts,
    supportFolder,
    folders.sockets,
    folders.application,
    modules,
  ];
  return [enterScript, ...mounts, workingFolder, writableFolder, sharedFolder, JSON.stringify(plan)];
}

function makeContainer(child: ChildProcess, urls: ReadonlyMap<number, string>): Container {
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (log += String(chunk)));
  const exitCode = once(child, 'close').then(([status]) => status as number);
  const send = (request: ContainerRequest) => child.stdin?.write(`${JSON.stringify(request)}\n`);
  return {
    url: (port) => urls.get(port) ?? '',
    log: () => log,
    exitCode,
    async run(...command) {
      const logStart = log.length;
      send({ run: command });
      const resultPattern = /^@ran (.+)$/m;
      while (!resultPattern.test(log.slice(logStart)))
        await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
      return JSON.parse(resultPattern.exec(log.slice(logStart))?.[1] ?? '') as {
        status: number;
        stdout: string;
      };
    },
    stop() {
      send({ signal: 'SIGTERM' });
      return exitCode;
    },
  };
}
