import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { makeTestFolder } from '../../support/inner/folders.ts';
import {
  createServerDatabase,
  openServerDatabase,
  serverDatabaseUrl,
} from '../../support/inner/server-database.ts';
import { makeDataFolder, removeFolder } from '../../support/process/data-folder.ts';
import { launch, type Server } from '../../support/process/server.ts';
import { describeExitedProcesses, type FaultTarget } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';

/** Fills the disk that holds the pictures. The database is on a different disk. */
export async function fillPictureDisk(rounds: number, database: 'embedded' | 'postgres'): Promise<void> {
  const storage = await makeTestFolder();
  const data = await makeDataFolder();
  onTestFinished(() => removeFolder(data));
  const postgres = database === 'postgres' ? await createPostgresDatabase() : undefined;
  const disk = await mountSmallDisk(storage);
  const api = await startServerOn(disk, data, { STORAGE_PATH: storage, ...postgres?.env });
  const target: FaultTarget = {
    url: api.url,
    unexpectedExits: () => describeExitedProcesses([api]),
    openDatabase: postgres?.open ?? (() => stopAndOpenDatabase(api, data)),
  };
  await fillDisk(`picture disk full (${database} database)`, rounds, target, disk);
}

async function createPostgresDatabase() {
  const { name, remove } = await createServerDatabase(true);
  onTestFinished(remove);
  return { env: { DATABASE_URL: serverDatabaseUrl(name) }, open: () => openServerDatabase(name) };
}

async function startServerOn(disk: SmallDisk, data: string, env: Record<string, string>): Promise<Server> {
  const settings = {
    // This setting turns off the free-space check, so that writes fail.
    MIN_FREE_DISK_MB: '0',
    WORKER_CONCURRENCY: '1',
    INLINE_SECONDS: '5',
    IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32',
    ...env,
  };
  const startingServer = launch(data, settings, disk.wrapper);
  onTestFinished(() => startingServer.kill9());
  return startingServer.ready();
}

/** Stops the server and opens its embedded database, which only one process can open at a time. */
async function stopAndOpenDatabase(api: Server, data: string) {
  expect(await api.stop()).toMatchObject({ code: 0 });
  return openEmbeddedDatabase(join(data, 'db'));
}

async function fillDisk(name: string, rounds: number, target: FaultTarget, disk: SmallDisk): Promise<void> {
  await runRounds(target, {
    name,
    rounds,
    async fault(round) {
      // Depending on the round, there is space for no file, for part of an original, or for an original without its
      // renditions.
      disk.fill((round % 4) * 25_000);
      await sleep(1_500);
      disk.freeAll();
    },
    verify({ statuses }) {
      expect(statuses.get(507), 'uploads rejected because of the full disk').toBeGreaterThan(0);
    },
  });
}
