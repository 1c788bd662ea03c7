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
import type { Order, Plan } from './inside.ts';
import { copyApplication, productionPackages } from './installation.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** Maps a name and a port of a deployment to a port of this machine. */
export interface HostMapping {
  readonly name: string;
  readonly port: number;
  readonly target: { readonly host: string; readonly port: number };
}

interface ContainerOptions extends Pick<Plan, 'command' | 'environment' | 'folder'> {
  readonly isFirst?: boolean;
  /** A writable folder; containers can share its subfolder `shared`. */
  readonly writable?: string;
  readonly shared?: string;
  readonly reached: readonly HostMapping[];
  readonly ports?: readonly number[];
}

/** A start command that runs like in a container: with its own network, root folder and names, and not as root. */
export interface Container {
  /** Returns the URL of an inner port. */
  url(port: number): string;
  log(): string;
  /** Runs another command in the same container. */
  run(...command: string[]): Promise<{ readonly status: number; readonly stdout: string }>;
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
  /** Sends SIGTERM; resolves with the exit code. */
  stop(): Promise<number>;
}

const enter = fileURLToPath(new URL('enter.sh', import.meta.url));
const code = fileURLToPath(new URL('.', import.meta.url));
const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--propagation', 'private'];

/** Whether this machine allows tests to create namespaces. Prints a note if not. */
export function canRunContainers(): boolean {
  const probe = 'ip link set lo up && mount -t tmpfs tmpfs /mnt && setpriv --reuid=1000 true';
  const { status } = spawnSync('unshare', [...namespaces, 'sh', '-c', probe], { stdio: 'ignore' });
  if (status === 0) return true;
  process.stdout.write('SKIPPED: tests that run deployments. They need root on Linux, unshare and ip.\n');
  return false;
}

/** Waits until the process inside reports that it is healthy. */
export async function untilHealthy(container: Container, port: number): Promise<void> {
  const deadline = performance.now() + waitTimeoutMs;
  while (performance.now() < deadline) {
    const isHealthy = await fetch(`${container.url(port)}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isHealthy) return;
    await sleep(100);
  }
  throw new Error(`Not healthy within ${waitTimeoutMs / 1_000} s:\n${container.log().slice(-2_000)}`);
}

/** Starts a command of a deployment and stops it at the end of the test. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const { reached, ports = [] } = options;
  const place = await preparePlace(options);
  const servers: Server[] = [];
  for (const { name, port, target } of reached)
    servers.push(await forward({ path: join(place.sockets, `${name}-${port}`) }, target));
  const child = spawn('unshare', [...namespaces, 'sh', ...(await enterArguments(options, place))], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const urls = new Map<number, string>();
  for (const port of ports) {
    const server = await forward({ host: '127.0.0.1', port: 0 }, { path: join(place.sockets, `in-${port}`) });
    urls.set(port, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    servers.push(server);
  }
  onTestFinished(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    for (const server of servers) server.close();
    await rm(place.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  return containerOf(child, urls);
}

interface Place {
  readonly folder: string;
  readonly root: string;
  readonly hosts: string;
  readonly sockets: string;
  readonly application: string;
}

/** Gives each name its own loopback address. */
const addressOf = (index: number) => `127.0.1.${index + 1}`;

async function preparePlace({ reached }: ContainerOptions): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
  const place = {
    folder,
    root: join(folder, 'root'),
    hosts: join(folder, 'hosts'),
    sockets: join(folder, 'sockets'),
    application: join(folder, 'application'),
  };
  await copyApplication(place.application);
  await mkdir(place.root);
  await mkdir(place.sockets);
  const names = reached.filter(({ name }) => name !== 'localhost');
  const lines = names.map(({ name }, index) => `${addressOf(index)} ${name}`);
  await writeFile(place.hosts, ['127.0.0.1 localhost', ...lines, ''].join('\n'));
  return place;
}

async function enterArguments(options: ContainerOptions, place: Place): Promise<string[]> {
  const { reached, ports = [], command, environment, folder, isFirst = false } = options;
  const { writable = '', shared = '' } = options;
  const names = reached.filter(({ name }) => name !== 'localhost');
  const plan: Plan = {
    command,
    environment: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...environment },
    folder,
    isFirst,
    reached: reached.map(({ name, port }) => ({
      host: name === 'localhost' ? '127.0.0.1' : addressOf(names.findIndex((entry) => entry.name === name)),
      port,
      socket: `/run/sockets/${name}-${port}`,
    })),
    published: ports.map((port) => ({ port, socket: `/run/sockets/in-${port}` })),
  };
  const modules = join(await productionPackages(), 'node_modules');
  const folders = [
    place.root,
    process.execPath,
    place.hosts,
    code,
    place.sockets,
    place.application,
    modules,
  ];
  return [enter, ...folders, folder, writable, shared, JSON.stringify(plan)];
}

function containerOf(child: ChildProcess, urls: ReadonlyMap<number, string>): Container {
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (log += String(chunk)));
  const ended = once(child, 'close').then(([status]) => status as number);
  const order = (given: Order) => child.stdin?.write(`${JSON.stringify(given)}\n`);
  return {
    url: (port) => urls.get(port) ?? '',
    log: () => log,
    ended,
    async run(...command) {
      const before = log.length;
      order({ run: command });
      const ran = /^@ran (.+)$/m;
      while (!ran.test(log.slice(before)))
        await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
      return JSON.parse(ran.exec(log.slice(before))?.[1] ?? '') as { status: number; stdout: string };
    },
    stop() {
      order({ signal: 'SIGTERM' });
      return ended;
    },
  };
}
