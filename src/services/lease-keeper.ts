import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import { makeOutage } from '../model/outage.ts';
import type { WorkQueue } from '../queue/queue.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'renewLeases' | 'handBack'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly leaseSeconds: number;
  readonly logger: Logger;
}

/** A job that this process works on. */
interface HeldLease {
  /** Aborts when the lease was lost, or the process hands its work back. */
  readonly signal: AbortSignal;
  release(): void;
}

/** Keeps the leases of this process's jobs alive. */
export interface LeaseKeeper {
  hold(job: ClaimedJob): HeldLease;
  /** Aborts work and gives its jobs back, all of them or those of one kind, so that another process takes them over. */
  handBack(kind?: JobKind): Promise<void>;
  stop(): void;
}

/** Four signs of life in each lease: three may be late before another worker takes over. */
const beatsPerLease = 4;

/** @see LeaseKeeper */
export function makeLeaseKeeper({ jobs, queue, leaseSeconds, logger }: Dependencies): LeaseKeeper {
  const held = new Map<ClaimedJob, AbortController>();
  const outage = makeOutage(logger, {
    level: 'warn',
    began: 'leases could not be renewed; trying again',
    ended: 'leases are renewed again',
  });

  async function beat(): Promise<void> {
    const mine = [...held.keys()];
    if (mine.length === 0) return;
    const renewed = await jobs.renewLeases(mine, leaseSeconds);
    outage.ended();
    for (const job of mine) if (!renewed.has(job)) held.get(job)?.abort('its lease was lost');
  }

  const timer = setInterval(() => void beat().catch(outage.began), (leaseSeconds * 1000) / beatsPerLease);
  timer.unref();

  return {
    hold(job) {
      const controller = new AbortController();
      held.set(job, controller);
      return { signal: controller.signal, release: () => held.delete(job) };
    },
    async handBack(kind) {
      const mine = [...held.keys()].filter((job) => kind === undefined || job.kind === kind);
      for (const job of mine) held.get(job)?.abort('the process stops');
      if (mine.length === 0) return;
      try {
        await jobs.handBack(mine);
        queue.wake(mine);
      } catch (error) {
        logger.warn({ err: error }, 'jobs could not be handed back; others take them when their leases end');
      }
    },
    stop: () => clearInterval(timer),
  };
}
