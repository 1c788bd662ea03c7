import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { makeTestFolder } from './folders.ts';

/** A Redis server that a single test uses. The test may kill, restart and flush the server. */
export interface PrivateRedis {
  readonly port: number;
  readonly url: string;
  /** Starts the server. `overrides` take precedence over the options of `makePrivateRedis`. */
  start(...overrides: string[]): Promise<void>;
  /** Kills the server with SIGKILL. Unsaved data is lost. */
  kill(): Promise<void>;
  /** Runs a Redis command. */
  command(name: string, ...args: string[]): Promise<unknown>;
}

/** Returns whether `redis-server` is installed. Prints a note if it is not. */
export function hasRedisServer(): boolean {
  const isInstalled = spawnSync('redis-server', ['--version']).error === undefined;
  if (!isInstalled)
    process.stdout.write('SKIPPED: tests that stop Redis. They need the program redis-server.\n');
  return isInstalled;
}

/** Reserves a port for a Redis server, but does not start the server. `options` are command line options. */
export async function makePrivateRedis(...options: string[]): Promise<PrivateRedis> {
  const port = await findFreePort();
  const folder = await makeTestFolder();
  let child: ChildProcess | undefined;

  async function kill(): Promise<void> {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async function command(name: string, ...args: string[]): Promise<unknown> {
    const client = new Redis(port, '127.0.0.1', {
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  onTestFinished(kill);
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    async start(...overrides) {
      const network = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
      child = spawn(
        'redis-server',
        [...network, '--save', '', '--appendonly', 'no', ...options, ...overrides],
        {
          stdio: 'ignore',
        },
      );
      await expect.poll(() => isReady(command), { interval: 20 }).toBe(true);
    },
    kill,
    command,
  };
}

/** Returns whether the server accepts commands or responds that it requires a password. */
async function isReady(command: PrivateRedis['command']): Promise<boolean> {
  return command('PING').then(
    () => true,
    (error: unknown) => error instanceof Error && error.message.startsWith('NOAUTH'),
  );
}

/** Returns a free port. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
