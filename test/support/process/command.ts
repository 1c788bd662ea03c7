import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { waitTimeoutMs } from '../time-scale.ts';

/** The main module, which `npm start` runs. */
export const mainModule = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

/**
 * Node options for the processes that tests start. The processes run only for seconds, so optimising the embedded
 * database's WebAssembly code would take longer than it saves.
 */
export const nodeOptions = ['--liftoff-only'];

/** Decoder timeouts that are long enough on a busy machine. */
export const generousDecoderTimeouts = { DECODE_TIMEOUT_MS: '60000', PROBE_TIMEOUT_MS: '30000' };

/** Exit code and output of a process. */
export interface ProcessResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Adds this process's PATH and HOME to `env`. A process that is started with the result inherits no other variables.
 */
export function cleanEnvironment(env: Record<string, string>): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env };
}

/** Runs `vitrine <args>` until it exits. */
export function runVitrine(
  args: readonly string[],
  env: Record<string, string>,
  folder = tmpdir(),
): Promise<ProcessResult> {
  const argv = [...nodeOptions, mainModule, ...args];
  return runProgram(process.execPath, argv, { ...generousDecoderTimeouts, ...env }, folder);
}

/** Runs a program until it exits. A program that hangs is killed, and its exit code is `null`. */
export function runProgram(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  folder = tmpdir(),
): Promise<ProcessResult> {
  const child = spawn(program, args, {
    cwd: folder,
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 2 * waitTimeoutMs,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    return () => Buffer.concat(chunks).toString('utf8');
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout: stdout?.() ?? '', stderr: stderr?.() ?? '' }));
  });
}
