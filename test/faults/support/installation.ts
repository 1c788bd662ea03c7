import { expect, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { makeTestFolder } from '../../support/inner/folders.ts';
import {
  createServerDatabase,
  openServerDatabase,
  serverDatabaseUrl,
} from '../../support/inner/server-database.ts';
import { startServer } from '../../support/process/server.ts';
import { startWorker, type WorkerProcess } from '../../support/process/worker-process.ts';

/** The system into which faults are injected. */
export interface FaultTarget {
  readonly url: string;
  /** Returns the pid and the end of the log of each process that exited although the test did not kill it. */
  unexpectedExits(): string[];
  /** Opens the database for the final checks. The caller must close it. */
  readonly openDatabase: () => Promise<Database>;
}

/** An API process that runs no queued jobs, and workers that share its database and storage. */
export interface Installation extends FaultTarget {
  /** Database name. */
  readonly database: string;
  readonly workers: WorkerProcess[];
  /** Replaces a killed worker with a new worker. */
  replaceWorker(index: number): Promise<void>;
}

/** Starts an installation with a new database, for one test. */
export async function startInstallation(
  env: Record<string, string> = {},
  workerCount = 2,
): Promise<Installation> {
  const { name, remove } = await createServerDatabase(true);
  // Hooks run in reverse order, so the database is dropped after the processes have exited.
  onTestFinished(remove);
  const folder = await makeTestFolder();
  const settings = makeSettings(name, folder, env);
  const api = await startServer({ ...settings, ENABLE_WORKER: 'false' }, folder);
  const workers = await Promise.all(Array.from({ length: workerCount }, () => startWorker(settings)));
  return {
    url: api.url,
    database: name,
    workers,
    async replaceWorker(index) {
      workers[index] = await startWorker(settings);
    },
    unexpectedExits: () => describeExitedProcesses([api, ...workers]),
    openDatabase: () => openServerDatabase(name),
  };
}

function makeSettings(database: string, folder: string, env: Record<string, string>): Record<string, string> {
  return {
    DATABASE_URL: serverDatabaseUrl(database),
    DATA_DIR: folder,
    WORKER_CONCURRENCY: '1',
    LEASE_SECONDS: '3',
    IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32',
    ...env,
  };
}

/** Returns the pid and the end of the log of each process that is no longer running. */
export function describeExitedProcesses(processes: readonly Pick<WorkerProcess, 'pid' | 'log'>[]): string[] {
  return processes
    .filter(({ pid }) => !isRunning(pid))
    .map(({ pid, log }) => `${pid}: ${log().slice(-2_000)}`);
}

/** Expects that no process exited unless the test killed it. */
export function expectNoUnexpectedExits(target: FaultTarget): void {
  expect(target.unexpectedExits(), 'unexpected exits').toEqual([]);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
