import type { JobQueries } from '../db/jobs.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';

interface Parts {
  readonly jobs: Pick<JobQueries, 'renewLeases' | 'handBack'>;
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
export function makeLeaseKeeper({ jobs, leaseSeconds, logger }: Parts): LeaseKeeper {
  const held = new Map<ClaimedJob, AbortController>();

  async function beat(): Promise<void> {
    const mine = [...held.keys()];
    if (mine.length === 0) return;
    const renewed = await jobs.renewLeases(mine, leaseSeconds);
    for (const job of mine) if (!renewed.has(job)) held.get(job)?.abort('its lease was lost');
  }

  const timer = setInterval(
    () => {
      beat().catch((error: unknown) => logger.warn({ err: error }, 'leases could not be renewed'));
    },
    (leaseSeconds * 1000) / beatsPerLease,
  );
  timer.unref();

  return {
    hold(job) {
      const controller = new AbortController();
      held.set(job, controller);
      return { signal: controller.signal, release: () => held.delete(job) };
    },
    async handBack(kind) {
      const mine = [...held.entries()].filter(([job]) => kind === undefined || job.kind === kind);
      for (const [, controller] of mine) controller.abort('the process stops');
      await jobs.handBack(mine.map(([job]) => job));
    },
    stop: () => clearInterval(timer),
  };
}
