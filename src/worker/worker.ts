import { makeAvailabilityLog } from '../availability-log.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { ImportLimits } from '../db/jobs/select-imports.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { RunJob } from '../services/run-job.ts';
import { runUnbound } from '../tenant-scope.ts';

interface Dependencies {
  readonly kind: JobKind;
  readonly jobs: Pick<JobQueries, 'claimDue'>;
  readonly queue: Pick<WorkQueue, 'onWake'>;
  readonly runJob: RunJob;
  /** Maximum number of concurrent jobs. */
  readonly capacity: number;
  readonly leaseSeconds: number;
  readonly importLimits: ImportLimits;
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

/** Interval between two claims if no wake-up arrives. */
const pollIntervalMs = 1_000;

/** Maximum fraction by which an interval is randomly shortened, so that workers do not all poll at the same time. */
const pollJitter = 0.2;

/** @see Worker */
export function makeWorker(deps: Dependencies): Worker {
  const { kind, jobs, queue, runJob, capacity, leaseSeconds, importLimits, logger } = deps;
  const runningJobs = new Set<Promise<unknown>>();
  const availability = makeAvailabilityLog(logger, {
    level: 'error',
    lost: 'failed to claim jobs; retrying',
    restored: 'claiming jobs again',
  });
  let isStopped = true;
  let currentClaim: Promise<void> | undefined;
  /** Set if a wake-up arrives or a job ends during a claim, because that claim may miss due jobs or free capacity. */
  let mustClaimAgain = false;
  /**
   * The `resolve` functions of unhandled wake-ups. A successful claim calls the functions that were pending when the
   * claim started.
   */
  let pendingWakeUps: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let unsubscribe = (): void => undefined;

  function launch(job: ClaimedJob): void {
    const run = runJob(job);
    runningJobs.add(run);
    void run.then(() => {
      runningJobs.delete(run);
      fillCapacity();
    });
  }

  async function claim(): Promise<void> {
    const freeCapacity = capacity - runningJobs.size;
    if (isStopped || freeCapacity <= 0) return;
    const wakeUps = pendingWakeUps.splice(0);
    try {
      for (const job of await jobs.claimDue(kind, freeCapacity, leaseSeconds, importLimits)) launch(job);
      for (const resolve of wakeUps) resolve();
      availability.reportSuccess();
    } catch (error) {
      // These wake-ups stay unresolved, so that the queue holds back further wake-ups. Otherwise, wake-ups would be lost
      // during a database outage.
      pendingWakeUps.push(...wakeUps);
      availability.reportFailure(error);
    }
  }

  /** Claims jobs for the free capacity, either now or after the current claim. */
  function fillCapacity(): void {
    mustClaimAgain = currentClaim !== undefined;
    // Unbound, because the request that woke this worker may be bound to a tenant.
    currentClaim ??= runUnbound(claim).finally(() => {
      currentClaim = undefined;
      if (mustClaimAgain && !isStopped) fillCapacity();
    });
  }

  /** Handles a wake-up. Resolves once this worker has had free capacity and has claimed any due jobs. */
  function onWake(): Promise<void> {
    if (isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      pendingWakeUps.push(resolve);
      fillCapacity();
    });
  }

  function poll(): void {
    fillCapacity();
    timer = setTimeout(poll, pollIntervalMs * (1 - pollJitter * Math.random()));
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
      // A claim in progress may still launch jobs.
      await currentClaim;
      for (const resolve of pendingWakeUps.splice(0)) resolve();
      while (runningJobs.size > 0) await Promise.all(runningJobs);
    },
  };
}
