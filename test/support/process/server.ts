import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { cleanEnvironment, mainModule, patientDecoding } from './command.ts';
import { makeDataFolder, removeFolder } from './data-folder.ts';
import { patienceMs } from '../time-scale.ts';

/** A server in a process group of its own. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  readonly dataDir: string;
  log(): string;
  /** Asks it to stop; answers how it ended and how long that took. */
  stop(signal?: NodeJS.Signals): Promise<Exit & { readonly ms: number }>;
  /** Kills it with all of its children, or the server alone. */
  kill9(whom?: 'group' | 'server'): Promise<void>;
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server that may not listen yet, or never will. */
export interface StartingServer extends Omit<Server, 'url'> {
  readonly exited: Promise<Exit>;
  /** Resolves when it says where it listens. @throws when it ends before. */
  ready(): Promise<Server>;
}

/** Settings of each server, unless a test gives others: one decoder, and limits that a busy machine does not exceed. */
const frugal = {
  HOST: '127.0.0.1',
  PORT: '0',
  LOG_LEVEL: 'info',
  WORKER_CONCURRENCY: '1',
  ...patientDecoding,
};

const living = new Set<ChildProcess>();
process.on('exit', () => living.forEach((child) => killGroup(child, 'SIGKILL')));

/**
 * Starts `vitrine serve` on `dataDir` and returns at once. The caller ends it.
 * @param through a command that becomes the server in the end, such as `nice`.
 */
export function launch(
  dataDir: string,
  env: Record<string, string> = {},
  through: readonly string[] = [],
): StartingServer {
  // A server of a test lives for seconds, and optimising its database engine would not pay.
  const server = [process.execPath, '--liftoff-only', mainModule, 'serve'];
  const [program = '', ...args] = through.concat(server);
  const child = spawn(program, args, {
    cwd: tmpdir(),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment({ ...frugal, DATA_DIR: dataDir, ...env }),
  });
  living.add(child);
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += String(chunk)));
  const exited = new Promise<Exit>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  );
  // The end of the log may come after the end of the process; a child that lives on keeps the pipe open.
  const logged = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const starting = {
    pid: child.pid ?? 0,
    dataDir,
    exited,
    log: () => log,
    async stop(signal: NodeJS.Signals = 'SIGTERM') {
      const began = performance.now();
      child.kill(signal);
      const late = setTimeout(() => killGroup(child, 'SIGKILL'), patienceMs);
      const exit = await exited;
      const ms = performance.now() - began;
      clearTimeout(late);
      await Promise.race([logged, sleep(500)]);
      return { ...exit, ms };
    },
    async kill9(whom = 'group') {
      if (whom === 'group') killGroup(child, 'SIGKILL');
      else child.kill('SIGKILL');
      await exited;
      if (whom === 'group') living.delete(child);
    },
  } satisfies Omit<StartingServer, 'ready'>;

  async function ready(): Promise<Server> {
    const deadline = performance.now() + patienceMs;
    while (performance.now() < deadline) {
      const url = /listens on (http:\/\/[\w.:]+)/.exec(log)?.[1];
      if (url !== undefined) return { ...starting, url };
      if (child.exitCode !== null || child.signalCode !== null) break;
      await sleep(10);
    }
    throw new Error(`The server is not ready (exit code ${child.exitCode}):\n${log}`);
  }
  return { ...starting, ready };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(child.pid ?? Number.NaN), signal);
  } catch {
    // It is gone already.
  }
}

/** A running server for one test; `dataDir` stays when it is given, else it is new and removed afterwards. */
export async function startServer(env: Record<string, string> = {}, dataDir?: string): Promise<Server> {
  const folder = dataDir ?? (await makeDataFolder());
  const starting = launch(folder, env);
  onTestFinished(async () => {
    await starting.kill9();
    if (dataDir === undefined) await removeFolder(folder);
  });
  return starting.ready();
}

/** One server for all tests of a file. */
export function useServer(env: Record<string, string> = {}): () => Server {
  let starting: StartingServer | undefined;
  let server: Server | undefined;
  beforeAll(async () => {
    starting = launch(await makeDataFolder(), env);
    server = await starting.ready();
  });
  afterAll(async () => {
    await starting?.kill9();
    if (starting) await removeFolder(starting.dataDir);
  });
  return () => {
    if (!server) throw new Error('The server was not started.');
    return server;
  };
}
