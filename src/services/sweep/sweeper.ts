import { setTimeout as sleep } from 'node:timers/promises';
import type { InstallationQueries } from '../../db/installation.ts';
import type { UsageQueries } from '../../db/usage/usage.ts';
import type { Logger } from '../../model/logger.ts';
import type { Staging } from '../../storage/staging.ts';
import type { Storage } from '../../storage/storage.ts';
import type { ExpireAuditLog } from '../audit/expire-audit-log.ts';
import type { FillCampaigns } from '../campaigns/fill-campaigns.ts';
import type { StartReindexing } from '../campaigns/reindexings.ts';
import type { TakeOverLostLeases } from '../leases.ts';
import type { DerivedFileSweeps } from './derived-files.ts';
import type { ExpiredRowSweeps } from './expired-rows.ts';
import type { FindMissingOriginals, SweepOrphans } from './stored-files.ts';
import type { CorrectUsage } from './usage-drift.ts';
import type { VectorIndexSweeps } from './vector-indexes.ts';

interface Dependencies {
  readonly takeOverLostLeases: TakeOverLostLeases;
  readonly fillCampaigns: FillCampaigns;
  readonly startReindexing: StartReindexing;
  readonly expiredRowSweeps: ExpiredRowSweeps;
  readonly expireAuditLog: ExpireAuditLog;
  readonly sweepOrphans: SweepOrphans;
  readonly findMissingOriginals: FindMissingOriginals;
  readonly correctUsage: CorrectUsage;
  readonly derivedFileSweeps: DerivedFileSweeps;
  readonly vectorIndexSweeps: VectorIndexSweeps;
  readonly installation: Pick<InstallationQueries, 'claimSweepPass' | 'analyzeGrownTables' | 'vacuum'>;
  readonly usage: Pick<UsageQueries, 'foldDeltas'>;
  readonly staging: Pick<Staging, 'sweep'>;
  readonly storage: Pick<Storage, 'sweepUnfinished'>;
  readonly logger: Logger;
}

/** Periodically removes expired data and repairs the damage that crashes cause. */
export interface Sweeper {
  start(): void;
  /**
   * Runs each frequent pass once. With the scope `all`, also runs each exclusive pass that is due. Intended for
   * short-lived processes. Never rejects.
   */
  runOnce(scope: 'frequent' | 'all'): Promise<void>;
  /** Stops the schedule and waits for running passes. */
  stop(): Promise<void>;
}

interface Pass {
  readonly name: string;
  /** Delay before the first run. It is less than a day, because a server may restart every night. */
  readonly firstDelayMs: number;
  readonly intervalMs: number;
  /** Whether only one process runs the pass in each interval. Set for expensive passes. */
  readonly isExclusive?: boolean;
  readonly run: () => Promise<unknown>;
}

const second = 1_000;
const hour = 3_600 * second;
const day = 24 * hour;

/**
 * Passes with an interval shorter than this are frequent. Each of them runs only one query when there is nothing to do.
 */
const frequentThresholdMs = 60 * second;

/** Maximum duration of an upload, either to this process or to the store. */
const maxUploadDurationMs = day;

const dailySchedule = { firstDelayMs: hour, intervalMs: day, isExclusive: true };

/** @see Sweeper */
export function makeSweeper(deps: Dependencies): Sweeper {
  const passes: readonly Pass[] = [
    {
      name: 'lost leases',
      // The first run starts almost immediately, because this process may replace a process that crashed.
      firstDelayMs: second / 2,
      intervalMs: 5 * second,
      run: () => deps.takeOverLostLeases(false),
    },
    { name: 're-renderings', firstDelayMs: second, intervalMs: second, run: () => deps.fillCampaigns() },
    { name: 'usage', firstDelayMs: 10 * second, intervalMs: 10 * second, run: () => deps.usage.foldDeltas() },
    {
      name: 'table statistics',
      firstDelayMs: 5 * second,
      intervalMs: 5 * second,
      run: () => deps.installation.analyzeGrownTables(),
    },
    {
      name: 'staging files',
      firstDelayMs: hour,
      intervalMs: hour,
      run: () => deps.staging.sweep(maxUploadDurationMs),
    },
    {
      name: 'unfinished uploads',
      firstDelayMs: hour,
      intervalMs: hour,
      isExclusive: true,
      run: () => deps.storage.sweepUnfinished(maxUploadDurationMs),
    },
    {
      name: 'renditions made on request',
      firstDelayMs: 10 * 60 * second,
      intervalMs: 10 * 60 * second,
      isExclusive: true,
      run: () => deps.derivedFileSweeps.evict(),
    },
    {
      name: 'replaced renditions',
      firstDelayMs: hour,
      intervalMs: hour,
      isExclusive: true,
      run: () => deps.derivedFileSweeps.removeSuperseded(),
    },
    {
      name: 'outdated descriptions',
      firstDelayMs: 30 * second,
      intervalMs: 10 * 60 * second,
      isExclusive: true,
      run: () => deps.startReindexing(),
    },
    {
      name: 'similarity indexes',
      firstDelayMs: 60 * second,
      intervalMs: 10 * 60 * second,
      isExclusive: true,
      run: () => deps.vectorIndexSweeps.maintain(),
    },
    {
      name: 'recall of similarity indexes',
      firstDelayMs: 30 * 60 * second,
      intervalMs: 6 * hour,
      isExclusive: true,
      run: () => deps.vectorIndexSweeps.audit(),
    },
    { ...dailySchedule, name: 'old jobs', run: () => deps.expiredRowSweeps.jobs() },
    { ...dailySchedule, name: 'old imports', run: () => deps.expiredRowSweeps.imports() },
    { ...dailySchedule, name: 'empty tenants', run: () => deps.expiredRowSweeps.tenants() },
    { ...dailySchedule, name: 'audit log', run: () => deps.expireAuditLog() },
    { ...dailySchedule, name: 'missing originals', run: () => deps.findMissingOriginals() },
    { ...dailySchedule, name: 'usage drift', firstDelayMs: 1.5 * hour, run: () => deps.correctUsage() },
    { ...dailySchedule, name: 'orphaned files', firstDelayMs: 2 * hour, run: () => deps.sweepOrphans() },
    { name: 'dead rows', firstDelayMs: 3 * hour, intervalMs: day, run: () => deps.installation.vacuum() },
  ];
  const stopController = new AbortController();
  const loops: Promise<void>[] = [];

  async function runPass({ name, intervalMs, isExclusive, run }: Pass): Promise<void> {
    try {
      if (isExclusive && !(await deps.installation.claimSweepPass(name, intervalMs / second))) return;
      await run();
    } catch (error) {
      deps.logger.error({ err: error }, `the sweep for ${name} failed; it will run again later`);
    }
  }

  /** Runs a pass repeatedly. Waits a full interval after each run, so that slow runs never overlap. */
  async function repeat(pass: Pass): Promise<void> {
    let shouldContinue = await pause(pass.firstDelayMs, stopController.signal);
    while (shouldContinue) {
      await runPass(pass);
      shouldContinue = await pause(pass.intervalMs, stopController.signal);
    }
  }

  return {
    start() {
      for (const pass of passes) loops.push(repeat(pass));
    },
    async runOnce(scope) {
      for (const pass of passes) {
        if (pass.intervalMs < frequentThresholdMs || (scope === 'all' && pass.isExclusive))
          await runPass(pass);
      }
    },
    async stop() {
      stopController.abort();
      await Promise.all(loops);
    },
  };
}

/** Waits for `milliseconds`. Returns false if `signal` aborts. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
