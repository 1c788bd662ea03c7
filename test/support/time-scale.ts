import { spawnSync } from 'node:child_process';

/** Time that a process with the work below takes on the machine for which the time limits in tests were written, in milliseconds. */
const referenceMs = 110;

const work =
  '(() => { let n = 1; for (let i = 0; i < 5e7; i++) n = (Math.imul(n, 31) + i) | 0; process.exitCode = n & 0; })()';

/** Tests run beside each other, and what they measure may start several processes. */
const crowd = 3;

/** How much longer than on the idle reference machine things may take here, at least `crowd`: starts a process that computes. */
export function measureTimeScale(): number {
  const began = performance.now();
  spawnSync(process.execPath, ['-e', work]);
  // Whole numbers: Node refuses others as delays.
  return Math.ceil(crowd * Math.max(1, (performance.now() - began) / referenceMs));
}

/** The factor measured when the run began. Each duration that a test asserts is multiplied by it. */
export const timeScale = Number(process.env['TEST_TIME_SCALE'] ?? crowd);

/** How long a test waits for what has to happen, in milliseconds: long, since only a failure waits to the end. */
export const patienceMs = 15_000 * timeScale;

/** Processor time that `run` takes in this process, in milliseconds. Unlike the clock, it does not count other processes. */
export function processorMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  return process.cpuUsage(before).user / 1_000;
}
