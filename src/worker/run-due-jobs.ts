import { setTimeout as sleep } from 'node:timers/promises';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { ImportLimits } from '../db/jobs/select-imports.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { RunJob } from '../services/run-job.ts';

interface Dependencies {
  /** Maximum number of concurrent jobs of each kind. */
  readonly capacities: Readonly<Record<JobKind, number>>;
  readonly jobs: Pick<JobQueries, 'claimDue'>;
  readonly runJob: RunJob;
  readonly leaseSeconds: number;
  readonly importLimits: ImportLimits;
  readonly logger: Logger;
}

/**
 * Runs due jobs in a short-lived process until none are left or the time is up. Also waits for retries that become due
 * within that time. Concurrent calls share the capacities. Never rejects.
 */
export type RunDueJobs = (milliseconds: number) => Promise<void>;

/** Delay before a failed claim is repeated. */
const claimRetryMs = 500;

/** @see RunDueJobs */
export function makeRunDueJobs({
  capacities,
  jobs,
  runJob,
  leaseSeconds,
  importLimits,
  logger,
}: Dependencies): RunDueJobs {
  const runningJobs = new Map<Promise<unknown>, JobKind>();
  const kinds = Object.keys(capacities) as JobKind[];
  /** Times at which retries of failed jobs are due, comparable with `performance.now()`. */
  let retryTimes: number[] = [];

  function launch(job: ClaimedJob): void {
    const run = runJob(job).then((outcome) => {
      runningJobs.delete(run);
      if (outcome.state === 'retrying') retryTimes.push(performance.now() + outcome.delaySeconds * 1000);
    });
    runningJobs.set(run, job.kind);
  }

  async function claim(kind: JobKind): Promise<void> {
    const runningCount = [...runningJobs.values()].filter((runningKind) => runningKind === kind).length;
    const freeCapacity = capacities[kind] - runningCount;
    if (freeCapacity <= 0) return;
    for (const job of await jobs.claimDue(kind, freeCapacity, leaseSeconds, importLimits)) launch(job);
  }

  /** Claims due jobs of all kinds. Returns whether all claims succeeded. */
  async function claimAll(): Promise<boolean> {
    try {
      for (const kind of kinds) await claim(kind);
      return true;
    } catch (error) {
      logger.warn({ err: error }, 'failed to claim jobs; retrying');
      return false;
    }
  }

  /** Waits until a job ends, a retry is due, it is time to repeat a failed claim, or the deadline has passed. */
  async function pause(deadline: number, hasClaimSucceeded: boolean): Promise<void> {
    const nextClaimAt = hasClaimSucceeded ? Number.POSITIVE_INFINITY : performance.now() + claimRetryMs;
    const milliseconds = Math.max(0, Math.min(deadline, nextClaimAt, ...retryTimes) - performance.now());
    await Promise.race([sleep(milliseconds), ...runningJobs.keys()]);
    retryTimes = retryTimes.filter((time) => time > performance.now());
  }

  return async (milliseconds) => {
    const deadline = performance.now() + milliseconds;
    while (performance.now() < deadline) {
      const hasClaimSucceeded = await claimAll();
      const hasRetry = retryTimes.some((time) => time < deadline);
      if (hasClaimSucceeded && runningJobs.size === 0 && !hasRetry) return;
      await pause(deadline, hasClaimSucceeded);
    }
    await Promise.all(runningJobs.keys());
  };
}
