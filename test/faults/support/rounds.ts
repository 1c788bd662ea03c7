import { setTimeout as sleep } from 'node:timers/promises';
import { call } from '../../support/process/client.ts';
import { type Ledger, makeLedger } from '../../support/process/ledger.ts';
import { startPictureOrigin } from '../../support/process/picture-origin.ts';
import { type ResponseMonitor, expectAcceptableResponses, monitorResponses } from './responses.ts';
import { type Recovery, measureRecovery } from './recovery.ts';
import { expectNoUnexpectedExits, type FaultTarget } from './installation.ts';
import { expectConsistentDatabase } from './invariants.ts';
import { startLoad } from './load.ts';
import { timeUntil } from './database.ts';
import { timeScale } from '../../support/time-scale.ts';

/** A fault to inject repeatedly under load. */
export interface FaultPlan {
  /** Name of the fault in the report. */
  readonly name: string;
  readonly rounds: number;
  /**
   * Injects the fault and ends it. The recovery time is measured from the moment when the promise resolves. If a
   * process died, the promise resolves with the milliseconds that other processes took to complete its jobs.
   */
  readonly fault: (round: number, ledger: Ledger) => Promise<number | void>;
  /** Additional checks for this fault. */
  readonly verify?: (responses: ResponseMonitor) => void | Promise<void>;
}

/** Time under load before the fault. */
const warmUpMs = 400;

/** Time limit for all jobs to end after the load has stopped. It includes three retries after 2, 4 and 8 s. */
const allJobsEndedLimitMs = 45_000 * timeScale;

/** Counts and times of one round, or the total counts and the longest times of all rounds. */
interface RoundStats extends Recovery {
  readonly acknowledgedCount: number;
  /** Number of unacknowledged uploads that were resent. */
  readonly resentCount: number;
  /** Time until other processes completed a dead process's jobs, in milliseconds. */
  readonly takeOverMs: number;
}

/** Runs all rounds. Verifies the service's guarantees after each round and at the end. */
export async function runRounds(target: FaultTarget, plan: FaultPlan): Promise<void> {
  const { url } = target;
  const responses = monitorResponses();
  const origin = await startPictureOrigin();
  const ledger = makeLedger('faults', { size: [800, 600], origin, observe: responses.observe });
  let total: RoundStats = { acknowledgedCount: 0, resentCount: 0, uploadMs: 0, workerMs: 0, takeOverMs: 0 };
  for (let round = 1; round <= plan.rounds; round++) {
    const stats = await runRound(url, ledger, responses.observe, () => plan.fault(round, ledger));
    total = addStats(total, stats);
    print(`${plan.name}, round ${round}/${plan.rounds}: ${describe(stats)}`);
    expectNoUnexpectedExits(target);
    expectAcceptableResponses(responses);
  }
  await ledger.check(url);
  await expectConsistentDatabase(target);
  await plan.verify?.(responses);
  print(
    `${plan.name}: ${plan.rounds} rounds, ${describe(total)} at most; ${describeStatuses(responses)}; no problem`,
  );
}

async function runRound(
  url: string,
  ledger: Ledger,
  observe: ResponseMonitor['observe'],
  fault: () => Promise<number | void>,
): Promise<RoundStats> {
  const acknowledgedBefore = ledger.acknowledged.size;
  const load = startLoad(ledger, url, observe);
  await sleep(warmUpMs);
  const takeOverMs = (await fault()) ?? 0;
  const recovery = await measureRecovery(ledger, url);
  await load.stop();
  await waitUntilAllJobsEnded(url);
  const resentCount = await ledger.resendUnacknowledged(url);
  await waitUntilAllJobsEnded(url);
  const acknowledgedCount = ledger.acknowledged.size - acknowledgedBefore;
  return { ...recovery, takeOverMs, resentCount, acknowledgedCount };
}

async function waitUntilAllJobsEnded(url: string): Promise<void> {
  await timeUntil('the end of all jobs', allJobsEndedLimitMs, async () => {
    const counts = await Promise.all([countJobs(url, 'pending'), countJobs(url, 'processing')]);
    return counts.every((count) => count === 0);
  });
}

async function countJobs(url: string, state: string): Promise<unknown> {
  return (await call(`${url}/v1/jobs?state=${state}&limit=1`)).body['total'];
}

function addStats(total: RoundStats, round: RoundStats): RoundStats {
  return {
    acknowledgedCount: total.acknowledgedCount + round.acknowledgedCount,
    resentCount: total.resentCount + round.resentCount,
    uploadMs: Math.max(total.uploadMs, round.uploadMs),
    workerMs: Math.max(total.workerMs, round.workerMs),
    takeOverMs: Math.max(total.takeOverMs, round.takeOverMs),
  };
}

function describe(stats: RoundStats): string {
  const { acknowledgedCount, resentCount, uploadMs, workerMs, takeOverMs } = stats;
  const takeOverText =
    takeOverMs > 0 ? `, jobs taken over and completed after ${Math.round(takeOverMs)} ms` : '';
  return `${acknowledgedCount} acknowledged, ${resentCount} resent, upload after ${Math.round(uploadMs)} ms, worker after ${Math.round(workerMs)} ms${takeOverText}`;
}

function describeStatuses(responses: ResponseMonitor): string {
  const counts = [...responses.statuses].sort(([a], [b]) => a - b);
  return `responses ${counts.map(([status, count]) => `${count} × ${status}`).join(', ')}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
