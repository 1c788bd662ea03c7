import { setTimeout as sleep } from 'node:timers/promises';
import type { InstallationQueries } from '../../db/installation.ts';
import type { UsageQueries } from '../../db/usage/usage.ts';
import type { Logger } from '../../model/logger.ts';
import type { Staging } from '../../storage/staging.ts';
import type { Storage } from '../../storage/storage.ts';
import type { TakeOverLostLeases } from '../leases.ts';
import type { ExpiredRowSweeps } from './expired-rows.ts';
import type { FindMissingOriginals, SweepOrphans } from './stored-files.ts';
import type { CorrectUsage } from './usage-drift.ts';

interface Dependencies {
  readonly takeOverLostLeases: TakeOverLostLeases;
  readonly expiredRowSweeps: ExpiredRowSweeps;
  readonly sweepOrphans: SweepOrphans;
  readonly findMissingOriginals: FindMissingOriginals;
  readonly correctUsage: CorrectUsage;
  readonly installation: Pick<InstallationQueries, 'claimSweepPass' | 'vacuum'>;
  readonly usage: Pick<UsageQueries, 'fold'>;
  readonly staging: Pick<Staging, 'sweep'>;
  readonly storage: Pick<Storage, 'sweepUnfinished'>;
  readonly logger: Logger;
}

/** Removes expired data and repairs what crashes leave behind, on a schedule. */
export interface Sweeper {
  start(): void;
  /** Runs the frequent passes, or all passes that are due, once, for a short-lived process. Never rejects. */
  runOnce(which: 'frequent' | 'all'): Promise<void>;
  /** Stops the schedule and waits for running passes. */
  stop(): Promise<void>;
}

interface Pass {
  readonly name: string;
  /** Delay before the first run; less than a day, because a server may restart every night. */
  readonly firstMs: number;
  readonly everyMs: number;
  /** Whether only one of several processes runs the pass, because it reads all data. */
  readonly isShared?: boolean;
  readonly run: () => Promise<unknown>;
}

const second = 1_000;
const hour = 3_600 * second;
const day = 24 * hour;

/** Passes with a shorter interval are frequent. They cost one query when there is nothing to do. */
const frequentMs = 60 * second;

/** Maximum time that an upload can take to arrive, here or in the store. */
const uploadAgeMs = day;

const daily = { firstMs: hour, everyMs: day, isShared: true };

/** @see Sweeper */
export function makeSweeper(deps: Dependencies): Sweeper {
  const passes: readonly Pass[] = [
    {
      name: 'lost leases',
      // The first run is immediate, because this process may replace one that crashed.
      firstMs: second / 2,
      everyMs: 5 * second,
      run: () => deps.takeOverLostLeases(false),
    },
    { name: 'usage', firstMs: 10 * second, everyMs: 10 * second, run: () => deps.usage.fold() },
    { name: 'staging files', firstMs: hour, everyMs: hour, run: () => deps.staging.sweep(uploadAgeMs) },
    {
      name: 'unfinished uploads',
      firstMs: hour,
      everyMs: hour,
      isShared: true,
      run: () => deps.storage.sweepUnfinished(uploadAgeMs),
    },
    { ...daily, name: 'old jobs', run: () => deps.expiredRowSweeps.jobs() },
    { ...daily, name: 'old imports', run: () => deps.expiredRowSweeps.imports() },
    { ...daily, name: 'empty tenants', run: () => deps.expiredRowSweeps.tenants() },
    { ...daily, name: 'missing originals', run: () => deps.findMissingOriginals() },
    { ...daily, name: 'usage drift', firstMs: 1.5 * hour, run: () => deps.correctUsage() },
    { ...daily, name: 'orphaned files', firstMs: 2 * hour, run: () => deps.sweepOrphans() },
    { name: 'dead rows', firstMs: 3 * hour, everyMs: day, run: () => deps.installation.vacuum() },
  ];
  const stopping = new AbortController();
  const loops: Promise<void>[] = [];

  async function runPass({ name, everyMs, isShared, run }: Pass): Promise<void> {
    try {
      if (isShared && !(await deps.installation.claimSweepPass(name, everyMs / second))) return;
      await run();
    } catch (error) {
      deps.logger.error({ err: error }, `the sweep for ${name} failed; it will run again later`);
    }
  }

  /** Runs a pass repeatedly. Waits a full interval after each run, so that slow runs never overlap. */
  async function repeat(pass: Pass): Promise<void> {
    let shouldContinue = await pause(pass.firstMs, stopping.signal);
    while (shouldContinue) {
      await runPass(pass);
      shouldContinue = await pause(pass.everyMs, stopping.signal);
    }
  }

  return {
    start() {
      for (const pass of passes) loops.push(repeat(pass));
    },
    async runOnce(which) {
      for (const pass of passes) {
        if (pass.everyMs < frequentMs || (which === 'all' && pass.isShared)) await runPass(pass);
      }
    },
    async stop() {
      stopping.abort();
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
