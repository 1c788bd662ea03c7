import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { testFolder } from './folders.ts';

/** A Redis of one test, which may be stopped, killed and emptied. */
export interface PrivateRedis {
  readonly port: number;
  readonly url: string;
  /** Further options win over those it was reserved with. */
  start(...more: string[]): Promise<void>;
  /** As by `kill -9`: what it held is lost. */
  kill(): Promise<void>;
  /** Runs one command. */
  command(name: string, ...args: string[]): Promise<unknown>;
}

/** Whether the server's program is there; says so when it is not. */
export function hasRedisServer(): boolean {
  const isThere = spawnSync('redis-server', ['--version']).error === undefined;
  if (!isThere) process.stdout.write('SKIPPED: tests that stop Redis. They need the program redis-server.\n');
  return isThere;
}

/** Reserves a port; nothing listens on it before `start`. Options as on the command line. */
export async function privateRedis(...options: string[]): Promise<PrivateRedis> {
  const port = await freePort();
  const folder = await testFolder();
  let child: ChildProcess | undefined;

  async function kill(): Promise<void> {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
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
    async start(...more) {
      const network = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
      child = spawn('redis-server', [...network, '--save', '', '--appendonly', 'no', ...options, ...more], {
        stdio: 'ignore',
      });
      await expect.poll(() => answers(command), { interval: 20 }).toBe(true);
    },
    kill,
    command,
  };
}

/** A server that asks for a password answers, too. */
async function answers(command: PrivateRedis['command']): Promise<boolean> {
  return command('PING').then(
    () => true,
    (error: unknown) => error instanceof Error && error.message.startsWith('NOAUTH'),
  );
}

/** A port on which nothing listens now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
