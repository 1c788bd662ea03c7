import type { JobQueries } from '../db/jobs.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { RunJob } from '../services/run-job.ts';

interface Parts {
  readonly kind: JobKind;
  readonly jobs: Pick<JobQueries, 'claimDue'>;
  readonly queue: WorkQueue;
  readonly runJob: RunJob;
  /** Jobs in hand at once. */
  readonly capacity: number;
  readonly leaseSeconds: number;
  readonly logger: Logger;
}

/** Takes due jobs of one kind and runs them: each kind has its own places, so that slow downloads hold up no upload. */
export interface Worker {
  start(): void;
  /** Takes no more jobs; resolves when those in hand have ended. */
  stop(): Promise<void>;
}

/** Due jobs are looked for this often even if no wake-up comes. */
const pollMs = 1_000;

/** @see Worker */
export function makeWorker(parts: Parts): Worker {
  const { kind, jobs, queue, runJob, capacity, leaseSeconds, logger } = parts;
  const running = new Set<Promise<unknown>>();
  let stopped = true;
  let claiming: Promise<void> | undefined;
  /** A wake-up came while a claim ran: what it announced may have missed that claim. */
  let wokenMeanwhile = false;
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
    if (stopped || free <= 0) return;
    const claimed = await jobs.claimDue(kind, free, leaseSeconds);
    for (const job of claimed) launch(job);
  }

  function fill(): void {
    if (claiming) {
      wokenMeanwhile = true;
      return;
    }
    wokenMeanwhile = false;
    claiming = claim()
      .catch((error: unknown) => logger.error({ err: error }, 'jobs could not be claimed; trying again'))
      .finally(() => {
        claiming = undefined;
        if (wokenMeanwhile && !stopped) fill();
      });
  }

  return {
    start() {
      stopped = false;
      unsubscribe = queue.onWake(fill);
      timer = setInterval(fill, pollMs);
      fill();
    },
    async stop() {
      stopped = true;
      unsubscribe();
      clearInterval(timer);
      // What a claim under way brings is in hand, too.
      await claiming;
      while (running.size > 0) await Promise.all(running);
    },
  };
}
