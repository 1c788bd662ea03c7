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
   * Injects the fault and ends it. Resolves when the recovery time starts. If a process died, resolves with the time
   * that other processes took to complete its jobs, in milliseconds.
   */
  readonly fault: (round: number, ledger: Ledger) => Promise<number | void>;
  /** Additional checks for this fault. */
  readonly verify?: (responses: ResponseMonitor) => void | Promise<void>;
}

/** Time under load before the fault. */
const warmUpMs = 400;

/** Time limit for all jobs to end after the load has stopped. It includes three retries after 2, 4 and 8 s. */
const allJobsEndedMs = 45_000 * timeScale;

/** Figures of one round, or totals of all rounds with the slowest times. */
interface Figures extends Recovery {
  readonly acknowledged: number;
  /** Number of unacknowledged uploads that were resent. */
  readonly resent: number;
  /** Time until other processes completed a dead process's jobs, in milliseconds. */
  readonly takeOver: number;
}

/** Runs all rounds. Verifies the service's guarantees after each round and at the end. */
export async function runRounds(target: FaultTarget, plan: FaultPlan): Promise<void> {
  const { url } = target;
  const responses = monitorResponses();
  const origin = await startPictureOrigin();
  const ledger = makeLedger('faults', { size: [800, 600], origin, observe: responses.observe });
  let total: Figures = { acknowledged: 0, resent: 0, upload: 0, worker: 0, takeOver: 0 };
  for (let round = 1; round <= plan.rounds; round++) {
    const figures = await runRound(url, ledger, responses.observe, () => plan.fault(round, ledger));
    total = addFigures(total, figures);
    print(`${plan.name}, round ${round}/${plan.rounds}: ${describe(figures)}`);
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
): Promise<Figures> {
  const acknowledgedBefore = ledger.acknowledged.size;
  const load = startLoad(ledger, url, observe);
  await sleep(warmUpMs);
  const takeOver = (await fault()) ?? 0;
  const recovery = await measureRecovery(ledger, url);
  await load.stop();
  await untilAllJobsEnded(url);
  const resent = await ledger.resendUnacknowledged(url);
  await untilAllJobsEnded(url);
  return { ...recovery, takeOver, resent, acknowledged: ledger.acknowledged.size - acknowledgedBefore };
}

async function untilAllJobsEnded(url: string): Promise<void> {
  await timeUntil('the end of all jobs', allJobsEndedMs, async () => {
    const counts = await Promise.all([countJobs(url, 'pending'), countJobs(url, 'processing')]);
    return counts.every((count) => count === 0);
  });
}

async function countJobs(url: string, state: string): Promise<unknown> {
  return (await call(`${url}/v1/jobs?state=${state}&limit=1`)).body['total'];
}

function addFigures(total: Figures, round: Figures): Figures {
  return {
    acknowledged: total.acknowledged + round.acknowledged,
    resent: total.resent + round.resent,
    upload: Math.max(total.upload, round.upload),
    worker: Math.max(total.worker, round.worker),
    takeOver: Math.max(total.takeOver, round.takeOver),
  };
}

function describe({ acknowledged, resent, upload, worker, takeOver }: Figures): string {
  const takeOverText = takeOver > 0 ? `, jobs taken over and completed after ${Math.round(takeOver)} ms` : '';
  return `${acknowledged} acknowledged, ${resent} resent, upload after ${Math.round(upload)} ms, worker after ${Math.round(worker)} ms${takeOverText}`;
}

function describeStatuses(responses: ResponseMonitor): string {
  const counts = [...responses.statuses].sort(([a], [b]) => a - b);
  return `responses ${counts.map(([status, count]) => `${count} × ${status}`).join(', ')}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
