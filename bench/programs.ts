import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** A server that a benchmark started. */
export interface StartedServer {
  readonly baseUrl: string;
  /** Ends the process and waits until it is gone. */
  readonly stop: () => Promise<void>;
}

const startTimeoutMs = 30_000;
const stopTimeoutMs = 10_000;

/** Which of `programs` are not installed. */
export async function findMissingPrograms(programs: readonly string[]): Promise<string[]> {
  const found = await Promise.all(programs.map((program) => isInstalled(program)));
  return programs.filter((_, index) => !found[index]);
}

/** Some programs answer `-v` with an exit code; only a program that cannot be started is missing. */
async function isInstalled(program: string): Promise<boolean> {
  try {
    await execute(program, ['-v']);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ENOENT');
  }
}

/** What `program` prints. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  return (await execute(program, args)).stdout;
}

/** A port of the loopback address that nobody uses at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port.');
  return address.port;
}

/** A program that runs beside the benchmark. */
export interface StartedProcess {
  /** Whether it has ended by itself. */
  readonly hasEnded: () => boolean;
  /** Ends it and waits until it is gone. */
  readonly stop: () => Promise<void>;
}

/** Starts a program in the foreground. */
export function startProcess(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): StartedProcess {
  const child = spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const exited = once(child, 'exit');
  // A benchmark that is interrupted must not leave its servers behind.
  const end = () => child.kill('SIGTERM');
  process.once('exit', end);
  return {
    hasEnded: () => child.exitCode !== null,
    async stop() {
      process.removeListener('exit', end);
      end();
      const timeout = sleep(stopTimeoutMs, 'timeout', { ref: false });
      if ((await Promise.race([exited, timeout])) === 'timeout') child.kill('SIGKILL');
    },
  };
}

/** Starts a server in the foreground and waits until `path` answers. */
export async function startServer(
  program: string,
  args: readonly string[],
  baseUrl: string,
  path: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<StartedServer> {
  const { hasEnded, stop } = startProcess(program, args, env);
  const deadline = performance.now() + startTimeoutMs;
  while (!(await answers(`${baseUrl}${path}`))) {
    if (hasEnded() || performance.now() > deadline) {
      await stop();
      throw new Error(`${program} did not start.`);
    }
    await sleep(100);
  }
  return { baseUrl, stop };
}

/** Starts `vitrine serve` with these settings on a free port, and waits until it is healthy. */
export async function startVitrine(environment: Readonly<Record<string, string>>): Promise<StartedServer> {
  const port = await freePort();
  return startServer(process.execPath, ['src/main.ts', 'serve'], `http://127.0.0.1:${port}`, '/v1/healthz', {
    ...process.env,
    LOG_LEVEL: 'warn',
    ...environment,
    PORT: String(port),
    HOST: '127.0.0.1',
  });
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url).catch(() => null);
  await response?.body?.cancel();
  return response?.ok === true;
}
