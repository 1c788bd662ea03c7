import { setTimeout as sleep } from 'node:timers/promises';
import type { InstallationQueries } from '../../db/installation.ts';
import type { UsageQueries } from '../../db/usage/usage.ts';
import type { Logger } from '../../model/logger.ts';
import type { Staging } from '../../storage/staging.ts';
import type { Storage } from '../../storage/storage.ts';
import type { ForgetRows } from './forget-rows.ts';
import type { TakeOverLostLeases } from './lost-leases.ts';
import type { FindMissingOriginals } from './missing-originals.ts';
import type { SweepOrphans } from './orphans.ts';
import type { CorrectUsage } from './usage-drift.ts';

interface Dependencies {
  readonly takeOverLostLeases: TakeOverLostLeases;
  readonly forgetRows: ForgetRows;
  readonly sweepOrphans: SweepOrphans;
  readonly findMissingOriginals: FindMissingOriginals;
  readonly correctUsage: CorrectUsage;
  readonly installation: Pick<InstallationQueries, 'beginPass' | 'vacuum'>;
  readonly usage: Pick<UsageQueries, 'fold'>;
  readonly staging: Pick<Staging, 'sweep'>;
  readonly storage: Pick<Storage, 'sweepUnfinished'>;
  readonly logger: Logger;
}

/** Repairs what crashes leave behind, on a timetable. */
export interface Sweeper {
  start(): void;
  /** Makes each pass that is due now, or the frequent ones only, for a process that is not always there. Never fails. */
  once(which: 'frequent' | 'all'): Promise<void>;
  /** Stops the timetable and waits for a pass that runs. */
  stop(): Promise<void>;
}

interface Pass {
  readonly name: string;
  /** Pause before the first pass; short enough that a server which starts anew each night still makes it. */
  readonly firstMs: number;
  readonly everyMs: number;
  /** Looks at all data: of several processes one makes it. */
  readonly isShared?: boolean;
  readonly run: () => Promise<unknown>;
}

const second = 1_000;
const hour = 3_600 * second;
const day = 24 * hour;

/** Passes with a shorter pause are frequent: they cost a query when there is nothing to do. */
const frequentMs = 60 * second;

/** Longer than any upload may take to arrive, here or in the store. */
const uploadAgeMs = day;

const daily = { firstMs: hour, everyMs: day, isShared: true };

/** @see Sweeper */
export function makeSweeper(deps: Dependencies): Sweeper {
  const passes: readonly Pass[] = [
    {
      name: 'lost leases',
      // At once: whoever starts may take the place of the one that was lost.
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
    { ...daily, name: 'old jobs', run: () => deps.forgetRows.jobs() },
    { ...daily, name: 'old imports', run: () => deps.forgetRows.imports() },
    { ...daily, name: 'empty tenants', run: () => deps.forgetRows.tenants() },
    { ...daily, name: 'missing originals', run: () => deps.findMissingOriginals() },
    { ...daily, name: 'usage drift', firstMs: 1.5 * hour, run: () => deps.correctUsage() },
    { ...daily, name: 'orphaned files', firstMs: 2 * hour, run: () => deps.sweepOrphans() },
    { name: 'dead rows', firstMs: 3 * hour, everyMs: day, run: () => deps.installation.vacuum() },
  ];
  const stopping = new AbortController();
  const loops: Promise<void>[] = [];

  async function runPass({ name, everyMs, isShared, run }: Pass): Promise<void> {
    try {
      if (isShared && !(await deps.installation.beginPass(name, everyMs / second))) return;
      await run();
    } catch (error) {
      deps.logger.error({ err: error }, `the sweep for ${name} failed; it is tried again later`);
    }
  }

  /** A pass begins a full pause after the one before has ended, so slow ones never pile up. */
  async function repeat(pass: Pass): Promise<void> {
    let ready = await pause(pass.firstMs, stopping.signal);
    while (ready) {
      await runPass(pass);
      ready = await pause(pass.everyMs, stopping.signal);
    }
  }

  return {
    start() {
      for (const pass of passes) loops.push(repeat(pass));
    },
    async once(which) {
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

/** Waits; false when the wait was ended early. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
