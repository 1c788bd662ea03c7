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
  readonly queries: Pick<Queries, 'sweeping' | 'forgetting' | 'images' | 'recounting'>;
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
  const { sweeping, forgetting, images, recounting } = queries;
  const takeOverLostLeases = makeTakeOverLostLeases({ sweeping, queue, logger });
  const sweeper = makeSweeper({
    takeOverLostLeases,
    forgetRows: makeForgetRows({ forgetting, retention, logger }),
    sweepOrphans: makeSweepOrphans({ sweeping, storage, brake, logger }),
    correctUsage: makeCorrectUsage({ recounting, logger }),
    findMissingOriginals: makeFindMissingOriginals({ sweeping, images, storage, brake, logger }),
    sweeping,
    staging,
    storage,
    logger,
  });
  return { sweeper, takeOverLostLeases };
}
