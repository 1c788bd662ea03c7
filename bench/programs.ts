import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** A server started by a benchmark. */
export interface StartedServer {
  /** Id of the server's process. */
  readonly pid: number;
  readonly baseUrl: string;
  /** Stops the process and waits until it has exited. */
  readonly stop: () => Promise<void>;
}

const startTimeoutMs = 30_000;
const stopTimeoutMs = 10_000;

/** Returns those of `programs` that are not installed. */
export async function findMissingPrograms(programs: readonly string[]): Promise<string[]> {
  const installedFlags = await Promise.all(programs.map((program) => isInstalled(program)));
  return programs.filter((_, index) => !installedFlags[index]);
}

/** Returns whether a program can be started. Ignores its exit code, because some programs fail if called with `-v`. */
async function isInstalled(program: string): Promise<boolean> {
  try {
    await execute(program, ['-v']);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ENOENT');
  }
}

/** Runs `program` and returns its standard output. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  return (await execute(program, args)).stdout;
}

/** Finds a free port on the loopback address. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port is free.');
  return address.port;
}

/** A program started by a benchmark. */
export interface StartedProcess {
  readonly pid: number;
  /** Whether the program has exited. */
  readonly hasExited: () => boolean;
  /** Stops the program and waits until it has exited. */
  readonly stop: () => Promise<void>;
}

/** Starts a program that writes to the benchmark's standard output and standard error. */
export function startProcess(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): StartedProcess {
  const child = spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const exit = once(child, 'exit');
  // The program must not keep running after the benchmark has ended.
  const terminate = () => child.kill('SIGTERM');
  process.once('exit', terminate);
  return {
    pid: child.pid ?? 0,
    hasExited: () => child.exitCode !== null || child.signalCode !== null,
    async stop() {
      process.removeListener('exit', terminate);
      terminate();
      const timeout = sleep(stopTimeoutMs, 'timeout', { ref: false });
      if ((await Promise.race([exit, timeout])) === 'timeout') child.kill('SIGKILL');
    },
  };
}

/** Starts a server and waits until `path` returns a success status. */
export async function startServer(
  program: string,
  args: readonly string[],
  baseUrl: string,
  path: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<StartedServer> {
  const { pid, hasExited, stop } = startProcess(program, args, env);
  const deadline = performance.now() + startTimeoutMs;
  while (!(await isReady(`${baseUrl}${path}`))) {
    if (hasExited() || performance.now() > deadline) {
      await stop();
      throw new Error(`${program} did not start.`);
    }
    await sleep(100);
  }
  return { pid, baseUrl, stop };
}

/** Starts `vitrine serve` on a free port with the settings in `environment`. Waits until the server is healthy. */
export async function startVitrine(environment: Readonly<Record<string, string>>): Promise<StartedServer> {
  const port = await findFreePort();
  return startServer(process.execPath, ['src/main.ts', 'serve'], `http://127.0.0.1:${port}`, '/v1/healthz', {
    ...process.env,
    LOG_LEVEL: 'warn',
    ...environment,
    PORT: String(port),
    HOST: '127.0.0.1',
  });
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(url).catch(() => null);
  await response?.body?.cancel();
  return response?.ok === true;
}
