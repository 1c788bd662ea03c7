import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { cleanEnvironment, generousDecoderTimeouts, mainModule, nodeOptions } from './command.ts';
import { makeDataFolder, removeFolder } from './data-folder.ts';
import { waitTimeoutMs } from '../time-scale.ts';

/** A server in its own process group. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  readonly dataDir: string;
  log(): string;
  /** Sends `signal`. Resolves with the exit status and the time until the exit. */
  stop(signal?: NodeJS.Signals): Promise<Exit & { readonly ms: number }>;
  /** Sends SIGKILL to the whole process group, or to the server alone. */
  kill9(target?: 'group' | 'server'): Promise<void>;
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A launched server that may fail to start. */
export interface StartingServer extends Omit<Server, 'url'> {
  readonly exited: Promise<Exit>;
  /** Resolves when the server listens. @throws if it exits before that. */
  ready(): Promise<Server>;
}

/** Default settings of test servers: one decoder, and timeouts that are long enough on a busy machine. */
const defaultSettings = {
  HOST: '127.0.0.1',
  PORT: '0',
  LOG_LEVEL: 'info',
  WORKER_CONCURRENCY: '1',
  ...generousDecoderTimeouts,
};

const launchedChildren = new Set<ChildProcess>();
process.on('exit', () => launchedChildren.forEach((child) => killGroup(child, 'SIGKILL')));

/**
 * Starts `vitrine serve` on `dataDir` and returns immediately. The caller must kill the server.
 * @param wrapper a command that executes the server, such as `nice`.
 */
export function launch(
  dataDir: string,
  env: Record<string, string> = {},
  wrapper: readonly string[] = [],
): StartingServer {
  const serverCommand = [process.execPath, ...nodeOptions, mainModule, 'serve'];
  const [program = '', ...args] = wrapper.concat(serverCommand);
  const child = spawn(program, args, {
    cwd: tmpdir(),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment({ ...defaultSettings, DATA_DIR: dataDir, ...env }),
  });
  launchedChildren.add(child);
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += String(chunk)));
  const exited = new Promise<Exit>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  );
  // The last log lines may arrive after the server has exited. A child that is still running keeps the pipe open.
  const logClosed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const startingServer = {
    pid: child.pid ?? 0,
    dataDir,
    exited,
    log: () => log,
    async stop(signal: NodeJS.Signals = 'SIGTERM') {
      const startedAt = performance.now();
      child.kill(signal);
      const killTimer = setTimeout(() => killGroup(child, 'SIGKILL'), waitTimeoutMs);
      const exit = await exited;
      const ms = performance.now() - startedAt;
      clearTimeout(killTimer);
      await Promise.race([logClosed, sleep(500)]);
      return { ...exit, ms };
    },
    async kill9(target = 'group') {
      if (target === 'group') killGroup(child, 'SIGKILL');
      else child.kill('SIGKILL');
      await exited;
      if (target === 'group') launchedChildren.delete(child);
    },
  } satisfies Omit<StartingServer, 'ready'>;

  async function ready(): Promise<Server> {
    const deadline = performance.now() + waitTimeoutMs;
    while (performance.now() < deadline) {
      const url = /listens on (http:\/\/[\w.:]+)/.exec(log)?.[1];
      if (url !== undefined) return { ...startingServer, url };
      if (child.exitCode !== null || child.signalCode !== null) break;
      await sleep(10);
    }
    throw new Error(`The server is not ready (exit code ${child.exitCode}):\n${log}`);
  }
  return { ...startingServer, ready };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(child.pid ?? Number.NaN), signal);
  } catch {
    // The process group has already exited.
  }
}

/** Starts a server for one test. Without `dataDir`, the server uses a new data folder, which is removed afterwards. */
export async function startServer(env: Record<string, string> = {}, dataDir?: string): Promise<Server> {
  const folder = dataDir ?? (await makeDataFolder());
  const startingServer = launch(folder, env);
  onTestFinished(async () => {
    await startingServer.kill9();
    if (dataDir === undefined) await removeFolder(folder);
  });
  return startingServer.ready();
}

/** Starts one server for all tests in a file. */
export function useServer(env: Record<string, string> = {}): () => Server {
  let startingServer: StartingServer | undefined;
  let server: Server | undefined;
  beforeAll(async () => {
    startingServer = launch(await makeDataFolder(), env);
    server = await startingServer.ready();
  });
  afterAll(async () => {
    await startingServer?.kill9();
    if (startingServer) await removeFolder(startingServer.dataDir);
  });
  return () => {
    if (!server) throw new Error('The server has not started.');
    return server;
  };
}
