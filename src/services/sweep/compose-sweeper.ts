import type { Queries } from '../../db/queries.ts';
import type { Logger } from '../../model/logger.ts';
import type { WorkQueue } from '../../queue/queue.ts';
import type { Staging } from '../../storage/staging.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Brake } from './brake.ts';
import { makeForgetRows, type Retention } from './forget-rows.ts';
import { makeTakeOverLostLeases, type TakeOverLostLeases } from './lost-leases.ts';
import { makeFindMissingOriginals } from './missing-originals.ts';
import { makeSweepOrphans } from './orphans.ts';
import { makeSweeper, type Sweeper } from './sweeper.ts';
import { makeCorrectUsage } from './usage-drift.ts';

interface Dependencies {
  readonly queries: Pick<
    Queries,
    'expiredRows' | 'images' | 'installation' | 'jobs' | 'recounting' | 'storedFiles' | 'usage'
  >;
  readonly storage: Storage;
  readonly staging: Staging;
  readonly queue: WorkQueue;
  readonly brake: Brake;
  readonly retention: Retention;
  readonly logger: Logger;
}

/** The sweeper with all of its passes, and the pass that a start makes at once. */
export function composeSweeper({
  queries,
  storage,
  staging,
  queue,
  brake,
  retention,
  logger,
}: Dependencies): {
  readonly sweeper: Sweeper;
  readonly takeOverLostLeases: TakeOverLostLeases;
} {
  const { expiredRows, images, installation, jobs, recounting, storedFiles, usage } = queries;
  const takeOverLostLeases = makeTakeOverLostLeases({ jobs, queue, logger });
  const sweeper = makeSweeper({
    takeOverLostLeases,
    forgetRows: makeForgetRows({ expiredRows, retention, logger }),
    sweepOrphans: makeSweepOrphans({ storedFiles, storage, brake, logger }),
    correctUsage: makeCorrectUsage({ recounting, logger }),
    findMissingOriginals: makeFindMissingOriginals({ storedFiles, images, storage, brake, logger }),
    installation,
    usage,
    staging,
    storage,
    logger,
  });
  return { sweeper, takeOverLostLeases };
}
