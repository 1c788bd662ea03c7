import { makeAvailabilityLog } from '../availability-log.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import { maxLeaseLosses } from './job-failures.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'renewLeases' | 'handBack'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly leaseSeconds: number;
  readonly logger: Logger;
}

/** The lease of a job that this process is running. */
interface HeldLease {
  /** Aborts when the lease is lost or the job is handed back. */
  readonly signal: AbortSignal;
  release(): void;
}

/** Manages the leases of the jobs that this process is running. */
export interface LeaseKeeper {
  /** Renews the lease of `job` until it is released. */
  hold(job: ClaimedJob): HeldLease;
  /** Aborts running jobs, or only those of one kind, and requeues them so that other processes can take them over. */
  handBack(kind?: JobKind): Promise<void>;
  stop(): void;
}

/**
 * Number of renewals within the duration of a lease. Three renewals in a row may fail before another worker takes over
 * the job.
 */
const renewalsPerLease = 4;

/** @see LeaseKeeper */
export function makeLeaseKeeper({ jobs, queue, leaseSeconds, logger }: Dependencies): LeaseKeeper {
  const controllers = new Map<ClaimedJob, AbortController>();
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: 'failed to renew leases; retrying',
    restored: 'renewing leases again',
  });

  async function renew(): Promise<void> {
    const runningJobs = [...controllers.keys()];
    if (runningJobs.length === 0) return;
    const renewedJobs = await jobs.renewLeases(runningJobs, leaseSeconds);
    availability.reportSuccess();
    for (const job of runningJobs)
      if (!renewedJobs.has(job)) controllers.get(job)?.abort('its lease was lost');
  }

  const intervalMs = (leaseSeconds * 1000) / renewalsPerLease;
  const timer = setInterval(() => void renew().catch(availability.reportFailure), intervalMs);
  timer.unref();

  return {
    hold(job) {
      const controller = new AbortController();
      controllers.set(job, controller);
      return { signal: controller.signal, release: () => controllers.delete(job) };
    },
    async handBack(kind) {
      const runningJobs = [...controllers.keys()].filter((job) => kind === undefined || job.kind === kind);
      for (const job of runningJobs) controllers.get(job)?.abort('it was handed back to the queue');
      if (runningJobs.length === 0) return;
      try {
        await jobs.handBack(runningJobs);
        queue.wake(runningJobs);
      } catch (error) {
        logger.warn(
          { err: error },
          'failed to hand back jobs; other workers will take them over when their leases expire',
        );
      }
    },
    stop: () => clearInterval(timer),
  };
}

interface TakeOverDependencies {
  readonly jobs: Pick<JobQueries, 'takeOverLostLeases'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly logger: Logger;
}

/**
 * Requeues jobs whose worker has crashed. A job that has lost its worker too often fails.
 * @param includeUnexpired whether to take over unexpired leases as well, which is only safe if no other process is
 *   running
 */
export type TakeOverLostLeases = (includeUnexpired: boolean) => Promise<void>;

/** @see TakeOverLostLeases */
export function makeTakeOverLostLeases({ jobs, queue, logger }: TakeOverDependencies): TakeOverLostLeases {
  return async (includeUnexpired) => {
    const { requeued, failed } = await jobs.takeOverLostLeases(maxLeaseLosses, includeUnexpired);
    if (failed > 0)
      logger.error(
        { failed },
        `${failed} ${failed === 1 ? 'job' : 'jobs'} failed after losing a worker ${maxLeaseLosses} times`,
      );
    if (requeued.length === 0) return;
    logger.warn(
      { requeued: requeued.length },
      `requeued ${requeued.length} ${requeued.length === 1 ? 'job' : 'jobs'} after a worker was lost`,
    );
    queue.wake(requeued);
  };
}
