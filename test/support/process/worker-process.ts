import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { cleanEnvironment, mainModule, generousDecoderTimeouts } from './command.ts';
import { waitTimeoutMs } from '../time-scale.ts';

/** A running `vitrine worker`. */
export interface WorkerProcess {
  readonly pid: number;
  readonly log: () => string;
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>;
  /** Sends SIGTERM. Resolves with the exit code. */
  readonly stop: () => Promise<number | null>;
  /** Sends SIGKILL. The decoder children then exit by themselves. */
  readonly kill9: () => Promise<void>;
}

/** Starts a worker for one test and waits until it claims jobs. */
export async function startWorker(
  env: Record<string, string>,
  ...args: readonly string[]
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [mainModule, 'worker', ...args], {
    cwd: tmpdir(),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment({ LOG_LEVEL: 'info', ...generousDecoderTimeouts, ...env }),
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += String(chunk)));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const deadline = performance.now() + waitTimeoutMs;
  while (!log.includes('worker started')) {
    if (performance.now() > deadline || child.exitCode !== null)
      throw new Error(`The worker did not start:\n${log}`);
    await sleep(20);
  }
  return {
    pid: child.pid ?? 0,
    log: () => log,
    exited,
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
    async kill9() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
