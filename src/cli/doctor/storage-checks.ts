import { existsSync } from 'node:fs';
import { openStorage } from '../../app/open-engines.ts';
import type { Config } from '../../config.ts';
import { type DataFolderLock, findHolder, type LockHolder, lockDataFolder } from '../../data-folder/lock.ts';
import { makePrivate } from '../../data-folder/private-folder.ts';
import { openEmbeddedDatabase } from '../../db/embedded.ts';
import { migrate } from '../../db/migrate.ts';
import { makeSweepQueries } from '../../db/sweeping.ts';
import { makeAssertFreeSpace } from '../../storage/free-space.ts';
import type { Storage } from '../../storage/storage.ts';
import { makeApiClient } from '../api-client.ts';
import { attempt, type Finding } from './finding.ts';
import { checkBelonging } from './operation-checks.ts';
import { checkPostgres } from './postgres-checks.ts';

/** Checks that the storage can be written to and has free space. */
export async function checkStorage(config: Config): Promise<Finding[]> {
  const place = config.storage.kind === 'local' ? config.storage.path : `bucket ${config.storage.bucket}`;
  const opening = openStorage(config);
  const written = await attempt(
    'storage',
    `${place} can be written and read`,
    config.storage.kind === 'local'
      ? 'Check the owner and the rights of the folder.'
      : 'Check the S3_ and AWS_ settings, and that the bucket exists.',
    async () => (await opening).check(),
  );
  const storage = await opening.catch(() => undefined);
  if (!storage) return [written];
  try {
    return [written, await checkDisk(storage, config.storage.minFreeBytes)];
  } finally {
    await storage.close();
  }
}

async function checkDisk(storage: Storage, minFreeBytes: number): Promise<Finding> {
  const free = Math.floor((await storage.freeBytes()) / 2 ** 20);
  return attempt(
    'disk',
    `${free} MiB free (uploads need ${minFreeBytes / 2 ** 20})`,
    'Free some space, or purge deleted images.',
    makeAssertFreeSpace(storage, minFreeBytes),
  );
}
