import { expect } from 'vitest';
import type { Ledger } from '../../support/process/ledger.ts';
import { type Installation, startInstallation } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';
import { queryRows, listUnfinishedJobIds, timeUntil } from '../support/database.ts';
import { waitTimeoutMs, timeScale } from '../../support/time-scale.ts';

/** Leases are longer on a slow machine, so that a worker does not lose them while it waits for CPU time. */
const leaseSeconds = Math.max(3, timeScale);

/** Time limit for the other worker to complete a dead worker's jobs after their leases have expired. */
const takeOverLimitMs = 10_000 * timeScale;

/**
 * In odd rounds, kills one of two workers with SIGKILL. In even rounds, suspends a worker until its leases have
 * expired, and then resumes it.
 */
export async function killAndSuspendWorkers(rounds: number): Promise<void> {
  const installation = await startInstallation({ LEASE_SECONDS: String(leaseSeconds) });
  await runRounds(installation, {
    name: 'worker killed, or suspended until its leases expired',
    rounds,
    async fault(round, ledger) {
      await keepBusy(installation, ledger);
      const inject = round % 2 === 0 ? suspendOne : killOne;
      return inject(installation, Math.floor(round / 2) % 2);
    },
    async verify() {
      const takenOverJobs = await queryRows(
        installation.database,
        'SELECT 1 FROM jobs WHERE lease_losses > 0',
      );
      expect(takenOverJobs.length, 'jobs that were taken over').toBeGreaterThan(0);
    },
  });
}

/** Uploads enough pictures to keep both workers busy for a while. */
async function keepBusy({ url, database }: Installation, ledger: Ledger): Promise<void> {
  await Promise.all(Array.from({ length: 16 }, () => ledger.upload(url, 'queued')));
  await timeUntil('work for both workers', waitTimeoutMs, async () => {
    const claimedJobs = await queryRows(
      database,
      "SELECT 1 FROM jobs WHERE state = 'processing' AND started_at > created_at",
    );
    return claimedJobs.length > 2;
  });
}

/** Kills a worker. Returns the milliseconds until all jobs that were unfinished at that moment have ended. */
async function killOne(installation: Installation, index: number): Promise<number> {
  await installation.workers[index]?.kill9();
  const takeOverMs = await timeUntilEnded(installation.database);
  await installation.replaceWorker(index);
  return takeOverMs;
}

async function suspendOne({ workers, database }: Installation, index: number): Promise<number> {
  const worker = workers[index];
  if (!worker) throw new Error(`There is no worker ${index}.`);
  process.kill(worker.pid, 'SIGSTOP');
  const takeOverMs = await timeUntilEnded(database).finally(() => process.kill(worker.pid, 'SIGCONT'));
  const logLength = worker.log().length;
  await timeUntil('a job completed by the resumed worker', takeOverLimitMs, () =>
    Promise.resolve(/completed in/.test(worker.log().slice(logLength))),
  );
  return takeOverMs;
}

async function timeUntilEnded(database: string): Promise<number> {
  const unfinishedIds = new Set(await listUnfinishedJobIds(database));
  return timeUntil("the end of the worker's jobs", leaseSeconds * 1_000 + takeOverLimitMs, async () =>
    (await listUnfinishedJobIds(database)).every((id) => !unfinishedIds.has(id)),
  );
}
