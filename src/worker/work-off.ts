import { setTimeout as sleep } from 'node:timers/promises';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { RunJob } from '../services/run-job.ts';

interface Dependencies {
  /** Jobs in hand at once, of each kind. */
  readonly capacities: Readonly<Record<JobKind, number>>;
  readonly jobs: Pick<JobQueries, 'claimDue'>;
  readonly runJob: RunJob;
  readonly leaseSeconds: number;
  readonly logger: Logger;
}

/**
 * Works on due jobs until none is left or the time is over, for a process that is not always there. Jobs that are due
 * again within the time are waited for. Calls at the same moment share their places. Never fails.
 */
export type WorkOff = (milliseconds: number) => Promise<void>;

/** After a claim that failed, and before a look for others' work while some is in hand here. */
const pauseMs = 500;

/** @see WorkOff */
export function makeWorkOff({ capacities, jobs, runJob, leaseSeconds, logger }: Dependencies): WorkOff {
  const running = new Map<Promise<unknown>, JobKind>();
  const kinds = Object.keys(capacities) as JobKind[];
  /** When jobs that failed here are due again. */
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

  /** False when jobs could not be claimed. */
  async function claimAll(): Promise<boolean> {
    try {
      for (const kind of kinds) await claim(kind);
      return true;
    } catch (error) {
      logger.warn({ err: error }, 'jobs could not be claimed; trying again');
      return false;
    }
  }

  /** Waits for what may change the next look: a job that ends, or one that is due again. */
  async function pause(deadline: number, worked: boolean): Promise<void> {
    const next = Math.min(...retries, worked ? Number.POSITIVE_INFINITY : performance.now() + pauseMs);
    const milliseconds = Math.max(0, Math.min(deadline, next) - performance.now());
    await Promise.race([sleep(milliseconds), ...running.keys()]);
    retries = retries.filter((at) => at > performance.now());
  }

  return async (milliseconds) => {
    const deadline = performance.now() + milliseconds;
    while (performance.now() < deadline) {
      const worked = await claimAll();
      const isDueLater = retries.some((at) => at < deadline);
      if (worked && running.size === 0 && !isDueLater) return;
      await pause(deadline, worked);
    }
    await Promise.all(running.keys());
  };
}
