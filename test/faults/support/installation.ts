import { expect, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { testFolder } from '../../support/inner/folders.ts';
import {
  createServerDatabase,
  openServerDatabase,
  urlOfDatabase,
} from '../../support/inner/server-database.ts';
import { startServer } from '../../support/process/server.ts';
import { startWorker, type WorkerProcess } from '../../support/process/worker-process.ts';

/** What faults happen to. */
export interface Victim {
  readonly url: string;
  /** Processes that nobody ended on purpose and that are gone all the same, with the end of their logs. */
  lost(): string[];
  /** Its database, to look at in the end. The caller closes it. */
  readonly openDatabase: () => Promise<Database>;
}

/** A whole installation: an API process that runs no queued jobs, and workers, on one database and one storage. */
export interface Installation extends Victim {
  /** Name of its database. */
  readonly database: string;
  readonly workers: WorkerProcess[];
  /** Puts a new worker into the place of one that was killed. */
  replaceWorker(index: number): Promise<void>;
}

/** Starts an installation for one test, with a database of its own. */
export async function startInstallation(
  env: Record<string, string> = {},
  workerCount = 2,
): Promise<Installation> {
  const { name, remove } = await createServerDatabase(true);
  // What is registered first is done last: the processes are gone by then.
  onTestFinished(remove);
  const folder = await testFolder();
  const shared = environmentOf(name, folder, env);
  const api = await startServer({ ...shared, ENABLE_WORKER: 'false' }, folder);
  const workers = await Promise.all(Array.from({ length: workerCount }, () => startWorker(shared)));
  return {
    url: api.url,
    database: name,
    workers,
    async replaceWorker(index) {
      workers[index] = await startWorker(shared);
    },
    lost: () => lostOf([api, ...workers]),
    openDatabase: () => openServerDatabase(name),
  };
}

function environmentOf(
  database: string,
  folder: string,
  env: Record<string, string>,
): Record<string, string> {
  return {
    DATABASE_URL: urlOfDatabase(database),
    DATA_DIR: folder,
    WORKER_CONCURRENCY: '1',
    LEASE_SECONDS: '3',
    IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32',
    ...env,
  };
}

/** Those that do not run any more, with the end of their logs. */
export function lostOf(processes: readonly Pick<WorkerProcess, 'pid' | 'log'>[]): string[] {
  return processes
    .filter(({ pid }) => !isRunning(pid))
    .map(({ pid, log }) => `${pid}: ${log().slice(-2_000)}`);
}

/** Holds all processes to it that they outlived every fault. */
export function expectSameProcesses(victim: Victim): void {
  expect(victim.lost(), 'processes that ended by themselves').toEqual([]);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
