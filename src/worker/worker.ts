import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import { makeOutage } from '../model/outage.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { RunJob } from '../services/run-job.ts';

interface Dependencies {
  readonly kind: JobKind;
  readonly jobs: Pick<JobQueries, 'claimDue'>;
  readonly queue: Pick<WorkQueue, 'onWake'>;
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

/** Due jobs are looked for at least this often even if no wake-up comes. */
const pollMs = 1_000;

/** Up to this share of the pause is left out at random, so that many workers do not all ask at the same moment. */
const pollJitter = 0.2;

/** @see Worker */
export function makeWorker(deps: Dependencies): Worker {
  const { kind, jobs, queue, runJob, capacity, leaseSeconds, logger } = deps;
  const running = new Set<Promise<unknown>>();
  const outage = makeOutage(logger, {
    level: 'error',
    began: 'jobs could not be claimed; trying again',
    ended: 'jobs are claimed again',
  });
  let stopped = true;
  let claiming: Promise<void> | undefined;
  /** Something came while a claim ran that this claim may have missed: a wake-up, or a place that is free now. */
  let again = false;
  /** Whoever waits for a look: answered by the next claim that begins from now on and works. */
  let waiting: (() => void)[] = [];
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
    const answered = waiting.splice(0);
    try {
      for (const job of await jobs.claimDue(kind, free, leaseSeconds)) launch(job);
      for (const answer of answered) answer();
      outage.ended();
    } catch (error) {
      // They wait for a claim that works, and so do the wake-ups behind them: none is used up while the database is away.
      waiting.push(...answered);
      outage.began(error);
    }
  }

  function fill(): void {
    again = claiming !== undefined;
    claiming ??= claim().finally(() => {
      claiming = undefined;
      if (again && !stopped) fill();
    });
  }

  /** Resolves when there was a free place and due jobs were claimed, or none was found. */
  function look(): Promise<void> {
    if (stopped) return Promise.resolve();
    return new Promise((resolve) => {
      waiting.push(resolve);
      fill();
    });
  }

  function poll(): void {
    fill();
    timer = setTimeout(poll, pollMs * (1 - pollJitter * Math.random()));
  }

  return {
    start() {
      stopped = false;
      unsubscribe = queue.onWake(kind, look);
      poll();
    },
    async stop() {
      stopped = true;
      unsubscribe();
      clearTimeout(timer);
      // What a claim under way brings is in hand, too.
      await claiming;
      for (const answer of waiting.splice(0)) answer();
      while (running.size > 0) await Promise.all(running);
    },
  };
}
