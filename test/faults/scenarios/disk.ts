import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { testFolder } from '../../support/inner/folders.ts';
import {
  createServerDatabase,
  openServerDatabase,
  urlOfDatabase,
} from '../../support/inner/server-database.ts';
import { makeDataFolder, removeFolder } from '../../support/process/data-folder.ts';
import { launch, type Server } from '../../support/process/server.ts';
import { lostOf, type Victim } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';

/** The pictures lie on a small disk; the database is elsewhere. */
export async function fillDiskOfPictures(rounds: number, database: 'embedded' | 'postgres'): Promise<void> {
  const storage = await testFolder();
  const data = await makeDataFolder();
  onTestFinished(() => removeFolder(data));
  const server = database === 'postgres' ? await onPostgres() : undefined;
  const disk = await mountSmallDisk(storage);
  const api = await startOn(disk, data, { STORAGE_PATH: storage, ...server?.env });
  const victim: Victim = {
    url: api.url,
    lost: () => lostOf([api]),
    openDatabase: server?.open ?? (() => openStopped(api, data)),
  };
  await fillDisk(`the disk of the pictures full (${database} database)`, rounds, victim, disk);
}

async function onPostgres() {
  const { name, remove } = await createServerDatabase(true);
  onTestFinished(remove);
  return { env: { DATABASE_URL: urlOfDatabase(name) }, open: () => openServerDatabase(name) };
}

async function startOn(disk: SmallDisk, data: string, env: Record<string, string>): Promise<Server> {
  const shared = {
    // Nothing but the disk itself says that it is full.
    MIN_FREE_DISK_MB: '0',
    WORKER_CONCURRENCY: '1',
    INLINE_SECONDS: '5',
    IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32',
    ...env,
  };
  const starting = launch(data, shared, disk.through);
  onTestFinished(() => starting.kill9());
  return starting.ready();
}

/** The embedded database belongs to one process: who wants to look at it stops the server. */
async function openStopped(api: Server, data: string) {
  expect(await api.stop()).toMatchObject({ code: 0 });
  return openEmbeddedDatabase(join(data, 'db'));
}

async function fillDisk(name: string, rounds: number, victim: Victim, disk: SmallDisk): Promise<void> {
  await runRounds(victim, {
    name,
    rounds,
    async fault(round) {
      // Nothing fits, or an original without its renditions, or a part of an original.
      disk.fill((round % 4) * 25_000);
      await sleep(1_500);
      disk.free();
    },
    judge({ statuses }) {
      expect(statuses.get(507), 'uploads that met the full disk').toBeGreaterThan(0);
    },
  });
}
