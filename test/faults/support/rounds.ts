import { setTimeout as sleep } from 'node:timers/promises';
import { call } from '../../support/process/client.ts';
import { type Ledger, makeLedger } from '../../support/process/ledger.ts';
import { startPictureOrigin } from '../../support/process/picture-origin.ts';
import { type AnswerWatch, expectSoundAnswers, watchAnswers } from './answers.ts';
import { type Comeback, measureComeback } from './comeback.ts';
import { expectSameProcesses, type Victim } from './installation.ts';
import { expectSoundDatabase } from './invariants.ts';
import { startLoad } from './load.ts';
import { timeUntil } from './rows.ts';
import { timeScale } from '../../support/time-scale.ts';

/** One fault, again and again, under load. */
export interface FaultPlan {
  /** What happens, for the figures. */
  readonly name: string;
  readonly rounds: number;
  /**
   * Does harm and undoes it; resolves at the moment from which the service may be held to its promise, with the
   * milliseconds that others took to finish the work of a dead process, where there is one.
   */
  readonly fault: (round: number, ledger: Ledger) => Promise<number | void>;
  /** What holds for this fault beside what holds for each. */
  readonly judge?: (answers: AnswerWatch) => void | Promise<void>;
}

/** A fault begins when the load has run for so long. */
const warmUpMs = 400;

/** After a fault, and with no new work, all jobs have ended within this time: three retries after 2, 4 and 8 s. */
const quietMs = 45_000 * timeScale;

/** Figures of one round, or of all: then times are the slowest. */
interface Figures extends Comeback {
  readonly acknowledged: number;
  /** Uploads without an answer that were sent again. */
  readonly repeated: number;
  readonly takeOver: number;
}

/** Runs all rounds and holds the installation to what it promises, after each round and in the end. */
export async function runRounds(victim: Victim, plan: FaultPlan): Promise<void> {
  const { url } = victim;
  const answers = watchAnswers();
  const origin = await startPictureOrigin();
  const ledger = makeLedger('faults', { size: [800, 600], origin, observe: answers.observe });
  let total: Figures = { acknowledged: 0, repeated: 0, upload: 0, worker: 0, takeOver: 0 };
  for (let round = 1; round <= plan.rounds; round++) {
    const figures = await runRound(url, ledger, answers.observe, () => plan.fault(round, ledger));
    total = add(total, figures);
    say(`${plan.name}, round ${round}/${plan.rounds}: ${describe(figures)}`);
    expectSameProcesses(victim);
    expectSoundAnswers(answers);
  }
  await ledger.check(url);
  await expectSoundDatabase(victim);
  await plan.judge?.(answers);
  say(`${plan.name}: ${plan.rounds} rounds, ${describe(total)} at most; ${told(answers)}; no problem`);
}

async function runRound(
  url: string,
  ledger: Ledger,
  observe: AnswerWatch['observe'],
  fault: () => Promise<number | void>,
): Promise<Figures> {
  const before = ledger.acknowledged.size;
  const load = startLoad(ledger, url, observe);
  await sleep(warmUpMs);
  const takeOver = (await fault()) ?? 0;
  const comeback = await measureComeback(ledger, url);
  await load.stop();
  await untilQuiet(url);
  const repeated = await ledger.repeatUnanswered(url);
  await untilQuiet(url);
  return { ...comeback, takeOver, repeated, acknowledged: ledger.acknowledged.size - before };
}

async function untilQuiet(url: string): Promise<void> {
  await timeUntil('the end of all jobs', quietMs, async () => {
    const open = await Promise.all([countJobs(url, 'pending'), countJobs(url, 'processing')]);
    return open.every((count) => count === 0);
  });
}

async function countJobs(url: string, state: string): Promise<unknown> {
  return (await call(`${url}/v1/jobs?state=${state}&limit=1`)).body['total'];
}

function add(total: Figures, round: Figures): Figures {
  return {
    acknowledged: total.acknowledged + round.acknowledged,
    repeated: total.repeated + round.repeated,
    upload: Math.max(total.upload, round.upload),
    worker: Math.max(total.worker, round.worker),
    takeOver: Math.max(total.takeOver, round.takeOver),
  };
}

function describe({ acknowledged, repeated, upload, worker, takeOver }: Figures): string {
  const taken = takeOver > 0 ? `, taken over and finished after ${Math.round(takeOver)} ms` : '';
  return `${acknowledged} acknowledged, ${repeated} repeated, upload after ${Math.round(upload)} ms, worker after ${Math.round(worker)} ms${taken}`;
}

function told(answers: AnswerWatch): string {
  const counts = [...answers.statuses].sort(([a], [b]) => a - b);
  return `answers ${counts.map(([status, count]) => `${count} × ${status}`).join(', ')}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
