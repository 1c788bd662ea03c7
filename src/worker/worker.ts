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
 * Claims and runs due jobs of one kind. Each kind has its own worker and capacity, so that slow downloads do not block
 * uploads.
 */
export interface Worker {
  start(): void;
  /** Stops claiming jobs. Resolves when the running jobs have ended. */
  stop(): Promise<void>;
}

/** Maximum interval between two claims if no wake-up arrives. */
const pollMs = 1_000;

/** The interval is shortened by up to this fraction, at random, so that many workers do not poll at the same time. */
const pollJitter = 0.2;

/** @see Worker */
export function makeWorker(deps: Dependencies): Worker {
  const { kind, jobs, queue, runJob, capacity, leaseSeconds, logger } = deps;
  const running = new Set<Promise<unknown>>();
  const availability = makeAvailabilityLog(logger, {
    level: 'error',
    lost: 'failed to claim jobs; retrying',
    restored: 'claiming jobs again',
  });
  let isStopped = true;
  let claiming: Promise<void> | undefined;
  /** Set when a wake-up arrives or a job ends during a claim, which may then miss due jobs or free capacity. */
  let claimAgain = false;
  /** Resolvers of unhandled wake-ups. The next claim that starts after the wake-up and succeeds calls them. */
  let pendingWakeUps: (() => void)[] = [];
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
    const freeCapacity = capacity - running.size;
    if (isStopped || freeCapacity <= 0) return;
    const handled = pendingWakeUps.splice(0);
    try {
      for (const job of await jobs.claimDue(kind, freeCapacity, leaseSeconds)) launch(job);
      for (const resolve of handled) resolve();
      availability.restored();
    } catch (error) {
      // The queue delivers no further wake-ups until these resolve, so none is lost while the database is unavailable.
      pendingWakeUps.push(...handled);
      availability.lost(error);
    }
  }

  /** Claims jobs for the free capacity: now, or again after the current claim. */
  function fill(): void {
    claimAgain = claiming !== undefined;
    claiming ??= claim().finally(() => {
      claiming = undefined;
      if (claimAgain && !isStopped) fill();
    });
  }

  /** Handles a wake-up. Resolves once this worker has had free capacity and has claimed any due jobs. */
  function onWake(): Promise<void> {
    if (isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      pendingWakeUps.push(resolve);
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
      for (const resolve of pendingWakeUps.splice(0)) resolve();
      while (running.size > 0) await Promise.all(running);
    },
  };
}
