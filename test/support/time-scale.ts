import { spawnSync } from 'node:child_process';

/** Duration of `workload`, in milliseconds, on the machine for which the tests' time limits were chosen. */
const referenceMs = 110;

/** A program that only calculates, so that its duration depends on the speed of the CPU. */
const workload =
  '(() => { let n = 1; for (let i = 0; i < 5e7; i++) n = (Math.imul(n, 31) + i) | 0; process.exitCode = n & 0; })()';

/** The minimum time scale. It allows for tests that run in parallel and start several processes. */
const minTimeScale = 3;

/** Runs the workload and returns the factor by which time limits must be extended on this machine. */
export function measureTimeScale(): number {
  const startedAt = performance.now();
  spawnSync(process.execPath, ['-e', workload]);
  // The factor is a whole number, because Node rejects fractional delays.
  return Math.ceil(minTimeScale * Math.max(1, (performance.now() - startedAt) / referenceMs));
}

/** The factor measured at the start of the run. Tests multiply every time limit by it. */
export const timeScale = Number(process.env['TEST_TIME_SCALE'] ?? minTimeScale);

/** How many milliseconds tests wait for an expected event. Only a failing test waits this long. */
export const waitTimeoutMs = 15_000 * timeScale;

/** Returns the CPU time of `run` in milliseconds. Unlike elapsed time, it does not depend on other processes. */
export function measureCpuMs(run: () => void): number {
  const usageBefore = process.cpuUsage();
  run();
  return process.cpuUsage(usageBefore).user / 1_000;
}
