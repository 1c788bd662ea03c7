import type { Config } from '../../config.ts';
import type { Queries } from '../../db/queries.ts';
import { embeddingSpace, fingerprintVersion } from '../../model/fingerprint.ts';
import type { Logger } from '../../model/logger.ts';
import type { WorkQueue } from '../../queue/queue.ts';
import type { Staging } from '../../storage/staging.ts';
import type { Storage } from '../../storage/storage.ts';
import { makeExpireAuditLog } from '../audit/expire-audit-log.ts';
import { makeStartReindexing } from '../campaigns/reindexings.ts';
import { makeFillCampaigns } from '../campaigns/fill-campaigns.ts';
import { makeTakeOverLostLeases, type TakeOverLostLeases } from '../leases.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import { makeDerivedFileSweeps } from './derived-files.ts';
import { makeExpiredRowSweeps } from './expired-rows.ts';
import { makeFindMissingOriginals, makeSweepOrphans } from './stored-files.ts';
import { makeSweeper, type Sweeper } from './sweeper.ts';
import { makeCorrectUsage } from './usage-drift.ts';
import { makeVectorIndexSweeps } from './vector-indexes.ts';

interface Dependencies {
  readonly queries: Pick<
    Queries,
    | 'auditChains'
    | 'campaigns'
    | 'expiredRows'
    | 'images'
    | 'installation'
    | 'jobs'
    | 'recounting'
    | 'renditionRemoval'
    | 'storedFiles'
    | 'usage'
    | 'vectorIndexes'
  >;
  readonly storage: Storage;
  readonly staging: Staging;
  readonly queue: WorkQueue;
  readonly presets: Pick<PresetsInForce, 'forRendering'>;
  readonly config: {
    readonly storage: Pick<Config['storage'], 'sweepLimit'>;
    readonly retention: Config['retention'];
    readonly delivery: Pick<Config['delivery'], 'maxDerivedBytes'>;
    readonly similarity: Pick<Config['similarity'], 'indexMinImages'>;
  };
  readonly logger: Logger;
}

/** Wires the sweeper and its passes. Also returns `takeOverLostLeases`, which is called once at startup. */
export function composeSweeper({ queries, storage, staging, queue, presets, config, logger }: Dependencies): {
  readonly sweeper: Sweeper;
  readonly takeOverLostLeases: TakeOverLostLeases;
} {
  const {
    auditChains,
    campaigns,
    expiredRows,
    images,
    installation,
    jobs,
    recounting,
    renditionRemoval,
    storedFiles,
    usage,
    vectorIndexes,
  } = queries;
  const { retention } = config;
  const { sweepLimit } = config.storage;
  const takeOverLostLeases = makeTakeOverLostLeases({ jobs, queue, logger });
  const sweeper = makeSweeper({
    takeOverLostLeases,
    fillCampaigns: makeFillCampaigns({ campaigns, presets, queue, logger }),
    startReindexing: makeStartReindexing({
      campaigns,
      version: { space: embeddingSpace, fingerprintVersion },
      logger,
    }),
    expiredRowSweeps: makeExpiredRowSweeps({ expiredRows, retention, logger }),
    expireAuditLog: makeExpireAuditLog({ auditChains, keepDays: retention.auditDays, logger }),
    sweepOrphans: makeSweepOrphans({ storedFiles, storage, sweepLimit, logger }),
    derivedFileSweeps: makeDerivedFileSweeps({
      renditionRemoval,
      storedFiles,
      storage,
      maxDerivedBytes: config.delivery.maxDerivedBytes,
      oldRenditionDays: retention.oldRenditionDays,
      logger,
    }),
    correctUsage: makeCorrectUsage({ recounting, logger }),
    vectorIndexSweeps: makeVectorIndexSweeps({
      vectorIndexes,
      minImages: config.similarity.indexMinImages,
      logger,
    }),
    findMissingOriginals: makeFindMissingOriginals({ storedFiles, images, storage, sweepLimit, logger }),
    installation,
    usage,
    staging,
    storage,
    logger,
  });
  return { sweeper, takeOverLostLeases };
}
