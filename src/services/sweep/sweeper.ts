import { setTimeout as sleep } from 'node:timers/promises';
import type { SweepQueries } from '../../db/sweeping.ts';
import type { Logger } from '../../model/logger.ts';
import type { Staging } from '../../storage/staging.ts';
import type { TakeOverLostLeases } from './lost-leases.ts';
import type { FindMissingOriginals } from './missing-originals.ts';
import type { SweepOrphans } from './orphans.ts';

interface Parts {
  readonly takeOverLostLeases: TakeOverLostLeases;
  readonly sweepOrphans: SweepOrphans;
  readonly findMissingOriginals: FindMissingOriginals;
  readonly sweeping: Pick<SweepQueries, 'forgetOldJobs'>;
  readonly staging: Pick<Staging, 'sweep'>;
  readonly logger: Logger;
}

/** Repairs what crashes leave behind, on a timetable. */
export interface Sweeper {
  start(): void;
  /** Stops the timetable and waits for a pass that runs. */
  stop(): Promise<void>;
}

interface Pass {
  readonly name: string;
  readonly everyMs: number;
  readonly run: () => Promise<unknown>;
}

const second = 1_000;
const hour = 3_600 * second;

/** Longer than any upload may take to arrive. */
const stagingAgeMs = 24 * hour;

/** @see Sweeper */
export function makeSweeper(parts: Parts): Sweeper {
  const passes: readonly Pass[] = [
    { name: 'lost leases', everyMs: 5 * second, run: () => parts.takeOverLostLeases(false) },
    { name: 'staging files', everyMs: hour, run: () => parts.staging.sweep(stagingAgeMs) },
    { name: 'orphaned files', everyMs: 24 * hour, run: () => parts.sweepOrphans() },
    { name: 'missing originals', everyMs: 24 * hour, run: () => parts.findMissingOriginals() },
    { name: 'old jobs', everyMs: 24 * hour, run: () => parts.sweeping.forgetOldJobs() },
  ];
  const stopping = new AbortController();
  const loops: Promise<void>[] = [];

  async function runPass(name: string, run: () => Promise<unknown>): Promise<void> {
    try {
      await run();
    } catch (error) {
      parts.logger.error({ err: error }, `the sweep for ${name} failed; it is tried again later`);
    }
  }

  /** A pass begins a full pause after the one before has ended, so slow ones never pile up. */
  async function repeat({ name, everyMs, run }: Pass): Promise<void> {
    while (await pause(everyMs, stopping.signal)) await runPass(name, run);
  }

  return {
    start() {
      for (const pass of passes) loops.push(repeat(pass));
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
