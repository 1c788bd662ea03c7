import { existsSync } from 'node:fs';
import { access, constants, readdir, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { openStorage } from '../../app/open-back-ends.ts';
import { runCheck, type Finding } from './finding.ts';
import type { Config } from '../../config.ts';
import {
  describeLackOfFileModes,
  describeExposedPictureFolder,
  systemHasFileModes,
  canMakePrivate,
  getModeIfExposed,
} from '../../data-folder/private-folder.ts';
import { makeAssertFreeSpace } from '../../storage/free-space.ts';
import type { Storage } from '../../storage/storage.ts';

/** Checks that storage is readable and writable and has free space. */
export async function checkStorage(config: Config): Promise<Finding[]> {
  if (config.storage.kind === 'local' && !existsSync(config.storage.path))
    return checkFutureStorage(config.storage.path, config.storage.minFreeBytes);
  const location = config.storage.kind === 'local' ? config.storage.path : `bucket ${config.storage.bucket}`;
  const storagePromise = openStorage(config);
  const accessFinding = await runCheck(
    'storage',
    `${location} is readable and writable`,
    config.storage.kind === 'local'
      ? 'Check the owner and permissions of the folder.'
      : 'Check the S3_* and AWS_* settings, and make sure that the bucket exists.',
    async () => (await storagePromise).check(),
  );
  const storage = await storagePromise.catch(() => undefined);
  if (!storage) return [accessFinding];
  try {
    return [accessFinding, await checkDisk(storage, config.storage.minFreeBytes)];
  } finally {
    await storage.close();
  }
}

/** Checks that the first start can create the folder. Does not create it, because a check must not change data. */
async function checkFutureStorage(path: string, minFreeBytes: number): Promise<Finding[]> {
  let parent = resolve(path);
  while (!existsSync(parent)) parent = dirname(parent);
  const finding = await runCheck(
    'storage',
    `not created yet; the first start creates ${path}`,
    'Check the owner and permissions of the folder, or set STORAGE_PATH to a different folder.',
    async () => {
      await readdir(parent);
      await access(parent, constants.W_OK);
    },
  );
  if (finding.remedy !== undefined) return [finding];
  const freeBytes = async () => {
    const { bavail, bsize } = await statfs(parent);
    return bavail * bsize;
  };
  return [finding, await checkDisk({ freeBytes }, minFreeBytes)];
}

async function checkDisk(storage: Pick<Storage, 'freeBytes'>, minFreeBytes: number): Promise<Finding> {
  const freeMiB = Math.floor((await storage.freeBytes()) / 2 ** 20);
  return runCheck(
    'disk',
    `${freeMiB} MiB free (uploads need at least ${minFreeBytes / 2 ** 20} MiB)`,
    'Free up space, or purge deleted images.',
    makeAssertFreeSpace(storage, minFreeBytes),
  );
}

/** Checks whether other users of this machine can read Vitrine's files. Unlike startup, does not change modes. */
export function checkPrivacy({ dataDir, storage }: Config): Finding[] {
  const pictureWarning = storage.kind === 'local' && describeExposedPictureFolder(storage.path, dataDir);
  return [
    checkDataFolder(dataDir),
    pictureWarning
      ? makeWarning(pictureWarning, 'Ignore this if a web server or a backup must read the images.')
      : [],
  ].flat();
}

function checkDataFolder(folder: string): Finding {
  if (!existsSync(folder))
    return { subject: 'privacy', state: `${folder} does not exist yet; it will be private` };
  if (!systemHasFileModes) return { subject: 'privacy', state: describeLackOfFileModes(folder) };
  const mode = getModeIfExposed(folder);
  if (mode === undefined) return { subject: 'privacy', state: `${folder} is private` };
  return makeWarning(
    `other users of this machine can access ${folder} (mode ${mode})`,
    canMakePrivate(folder)
      ? `Start Vitrine as the owner of the folder to make the folder private, or run chmod -R go-rwx ${folder}.`
      : 'Set DATA_DIR to a folder that no other user needs.',
  );
}

function makeWarning(state: string, remedy: string): Finding {
  return { subject: 'privacy', state, remedy, isWarning: true };
}
