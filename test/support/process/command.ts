import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { patienceMs } from '../time-scale.ts';

/** The program, as `npm start` runs it. */
export const mainModule = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

/** Limits of the decoders that a busy machine does not exceed. */
export const patientDecoding = { DECODE_TIMEOUT_MS: '60000', PROBE_TIMEOUT_MS: '30000' };

/** How a process ended, and what it printed. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Variables for a process that sees nothing of this one's settings. */
export function cleanEnvironment(env: Record<string, string>): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env };
}

/** Runs `vitrine <args>` to its end. */
export function runVitrine(
  args: readonly string[],
  env: Record<string, string>,
  folder = tmpdir(),
): Promise<Outcome> {
  return runProgram(process.execPath, [mainModule, ...args], { ...patientDecoding, ...env }, folder);
}

/** Runs a program to its end; one that hangs is killed, and then has no exit code. */
export function runProgram(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  folder = tmpdir(),
): Promise<Outcome> {
  const child = spawn(program, args, {
    cwd: folder,
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 2 * patienceMs,
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
