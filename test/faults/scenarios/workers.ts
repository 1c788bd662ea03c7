import { expect } from 'vitest';
import type { Ledger } from '../../support/process/ledger.ts';
import { type Installation, startInstallation } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';
import { ask, openJobs, timeUntil } from '../support/rows.ts';
import { patienceMs, timeScale } from '../../support/time-scale.ts';

/** Longer on a slow machine: a worker that only waits for the processor must not lose its jobs. */
const leaseSeconds = Math.max(3, timeScale);

/** Jobs of a dead worker are finished by another one so long after its lease has ended. */
const takeOverMs = 10_000 * timeScale;

/** One of two workers is killed as by `kill -9`, or stopped past its lease and then continued. */
export async function killAndStopWorkers(rounds: number): Promise<void> {
  const installation = await startInstallation({ LEASE_SECONDS: String(leaseSeconds) });
  await runRounds(installation, {
    name: 'a worker killed, or stopped past its lease',
    rounds,
    async fault(round, ledger) {
      await keepBusy(installation, ledger);
      const harm = round % 2 === 0 ? stopOne : killOne;
      return harm(installation, Math.floor(round / 2) % 2);
    },
    async judge() {
      const taken = await ask(installation.database, 'SELECT 1 FROM jobs WHERE lease_losses > 0');
      expect(taken.length, 'jobs that were taken over').toBeGreaterThan(0);
    },
  });
}

/** Sends so much at once that both workers have jobs in hand for a while. */
async function keepBusy({ url, database }: Installation, ledger: Ledger): Promise<void> {
  await Promise.all(Array.from({ length: 16 }, () => ledger.upload(url, 'queued')));
  await timeUntil('work for both workers', patienceMs, async () => {
    const held = await ask(
      database,
      "SELECT 1 FROM jobs WHERE state = 'processing' AND started_at > created_at",
    );
    return held.length > 2;
  });
}

/** Answers how long it took until all that was open at that moment had ended. */
async function killOne(installation: Installation, index: number): Promise<number> {
  await installation.workers[index]?.kill9();
  const ms = await timeUntilEnded(installation.database);
  await installation.replaceWorker(index);
  return ms;
}

async function stopOne({ workers, database }: Installation, index: number): Promise<number> {
  const worker = workers[index];
  if (!worker) throw new Error(`There is no worker ${index}.`);
  process.kill(worker.pid, 'SIGSTOP');
  const ms = await timeUntilEnded(database).finally(() => process.kill(worker.pid, 'SIGCONT'));
  const told = worker.log().length;
  await timeUntil('work by the worker that goes on', takeOverMs, () =>
    Promise.resolve(/completed in/.test(worker.log().slice(told))),
  );
  return ms;
}

async function timeUntilEnded(database: string): Promise<number> {
  const open = new Set(await openJobs(database));
  return timeUntil('the end of jobs whose worker is gone', leaseSeconds * 1_000 + takeOverMs, async () =>
    (await openJobs(database)).every((id) => !open.has(id)),
  );
}
