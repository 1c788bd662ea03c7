import type { JobQueries } from '../../db/jobs/job-queries.ts';
import type { Logger } from '../../model/logger.ts';
import type { WorkQueue } from '../../queue/queue.ts';
import { leaseLossLimit } from '../failure-policy.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'takeOverLostLeases'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly logger: Logger;
}

/** Gives jobs whose worker died to other workers. */
export type TakeOverLostLeases = (everything: boolean) => Promise<void>;

/** @see TakeOverLostLeases */
export function makeTakeOverLostLeases({ jobs, queue, logger }: Dependencies): TakeOverLostLeases {
  return async (everything) => {
    const { requeued, failed } = await jobs.takeOverLostLeases(leaseLossLimit, everything);
    if (failed > 0)
      logger.error({ failed }, `${failed} jobs failed: they lost their worker ${leaseLossLimit} times`);
    if (requeued.length === 0) return;
    logger.warn(
      { requeued: requeued.length },
      `${requeued.length} jobs had lost their worker and are tried again`,
    );
    queue.wake(requeued);
  };
}
