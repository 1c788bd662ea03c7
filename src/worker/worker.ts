import { makeAvailabilityLog } from '../availability-log.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { RunJob } from '../services/run-job.ts';

interface Dependencies {
  readonly kind: JobKind;
  readonly jobs: Pick<JobQueries, 'claimDue'>;
  readonly queue: Pick<WorkQueue, 'onWake'>;
  readonly runJob: RunJob;
  /** Maximum number of concurrent jobs. */
  readonly capacity: number;
  readonly leaseSeconds: number;
  readonly logger: Logger;
}

/**
 * Claims and runs due jobs of one kind. Each kind has a worker with a capacity of its own, so that slow downloads do not
 * block uploads.
 */
export interface Worker {
  start(): void;
  /** Stops claiming. Resolves when running jobs have ended. */
  stop(): Promise<void>;
}

/** Maximum interval between two claims, if no wake-up arrives. */
const pollMs = 1_000;

/** The interval is shortened by a random part of this share, so that many workers do not poll at the same time. */
const pollJitter = 0.2;

/** @see Worker */
export function makeWorker(deps: Dependencies): Worker {
  const { kind, jobs, queue, runJob, capacity, leaseSeconds, logger } = deps;
  const running = new Set<Promise<unknown>>();
  const availability = makeAvailabilityLog(logger, {
    level: 'error',
    lost: 'jobs could not be claimed; trying again',
    restored: 'jobs are claimed again',
  });
  let isStopped = true;
  let claiming: Promise<void> | undefined;
  /** Set when a wake-up arrives, or a job ends, during a claim that may have missed it. */
  let claimAgain = false;
  /** Resolve wake-ups. Called by the next claim that starts from now on and succeeds. */
  let wakeUps: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let unsubscribe = (): void => undefined;

  function launch(job: ClaimedJob): void {
    const run = runJob(job);
    running.add(run);
    void run.then(() => {
      running.delete(run);
      fill();
    });
  }

  async function claim(): Promise<void> {
    const free = capacity - running.size;
    if (isStopped || free <= 0) return;
    const handled = wakeUps.splice(0);
    try {
      for (const job of await jobs.claimDue(kind, free, leaseSeconds)) launch(job);
      for (const resolve of handled) resolve();
      availability.restored();
    } catch (error) {
      // Unresolved wake-ups hold back the ones behind them, so that none is used up while the database is unavailable.
      wakeUps.push(...handled);
      availability.lost(error);
    }
  }

  /** Claims jobs for the free capacity: now, or once more after the current claim. */
  function fill(): void {
    claimAgain = claiming !== undefined;
    claiming ??= claim().finally(() => {
      claiming = undefined;
      if (claimAgain && !isStopped) fill();
    });
  }

  /** Handles a wake-up. Resolves when this worker had free capacity and has claimed the due jobs, if any. */
  function onWake(): Promise<void> {
    if (isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      wakeUps.push(resolve);
      fill();
    });
  }

  function poll(): void {
    fill();
    timer = setTimeout(poll, pollMs * (1 - pollJitter * Math.random()));
  }

  return {
    start() {
      isStopped = false;
      unsubscribe = queue.onWake(kind, onWake);
      poll();
    },
    async stop() {
      isStopped = true;
      unsubscribe();
      clearTimeout(timer);
      // This claim may still launch jobs.
      await claiming;
      for (const resolve of wakeUps.splice(0)) resolve();
      while (running.size > 0) await Promise.all(running);
    },
  };
}
