import { setTimeout as sleep } from 'node:timers/promises';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { RunJob } from '../services/run-job.ts';

interface Dependencies {
  /** Maximum number of concurrent jobs of each kind. */
  readonly capacities: Readonly<Record<JobKind, number>>;
  readonly jobs: Pick<JobQueries, 'claimDue'>;
  readonly runJob: RunJob;
  readonly leaseSeconds: number;
  readonly logger: Logger;
}

/**
 * Runs due jobs in a short-lived process until none is left or the time is over, and waits for retries that become due
 * within that time. Concurrent calls share the capacities. Never rejects.
 */
export type WorkOff = (milliseconds: number) => Promise<void>;

/** Pause after a claim that failed. */
const retryMs = 500;

/** @see WorkOff */
export function makeWorkOff({ capacities, jobs, runJob, leaseSeconds, logger }: Dependencies): WorkOff {
  const running = new Map<Promise<unknown>, JobKind>();
  const kinds = Object.keys(capacities) as JobKind[];
  /** When retries of jobs that failed here are due. */
  let retries: number[] = [];

  function launch(job: ClaimedJob): void {
    const run = runJob(job).then((outcome) => {
      running.delete(run);
      if (outcome.state === 'retrying') retries.push(performance.now() + outcome.delaySeconds * 1000);
    });
    running.set(run, job.kind);
  }

  async function claim(kind: JobKind): Promise<void> {
    const free = capacities[kind] - [...running.values()].filter((other) => other === kind).length;
    if (free <= 0) return;
    for (const job of await jobs.claimDue(kind, free, leaseSeconds)) launch(job);
  }

  /** Returns false if jobs could not be claimed. */
  async function claimAll(): Promise<boolean> {
    try {
      for (const kind of kinds) await claim(kind);
      return true;
    } catch (error) {
      logger.warn({ err: error }, 'jobs could not be claimed; trying again');
      return false;
    }
  }

  /** Waits until a job ends, a retry is due, or a failed claim should be repeated. */
  async function pause(deadline: number, hasClaimed: boolean): Promise<void> {
    const next = Math.min(...retries, hasClaimed ? Number.POSITIVE_INFINITY : performance.now() + retryMs);
    const milliseconds = Math.max(0, Math.min(deadline, next) - performance.now());
    await Promise.race([sleep(milliseconds), ...running.keys()]);
    retries = retries.filter((at) => at > performance.now());
  }

  return async (milliseconds) => {
    const deadline = performance.now() + milliseconds;
    while (performance.now() < deadline) {
      const hasClaimed = await claimAll();
      const hasRetry = retries.some((at) => at < deadline);
      if (hasClaimed && running.size === 0 && !hasRetry) return;
      await pause(deadline, hasClaimed);
    }
    await Promise.all(running.keys());
  };
}
