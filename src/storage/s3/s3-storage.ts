import { randomUUID } from 'node:crypto';
import { mkdir, statfs } from 'node:fs/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { AppError, FileMissing } from '../../errors.ts';
import { assertKey } from '../keys.ts';
import { unlinkIfThere } from '../storage-errors.ts';
import type { StagedFile, Storage } from '../storage.ts';
import { type Bucket, makeBucket, makeS3Clients, objectName, type S3ClientSettings } from './client.ts';
import { makeDirectAccess } from './direct-access.ts';
import { putObject, readFileBody } from './put-object.ts';
import { listObjects, removeObject, statObject } from './objects.ts';
import { makePutOriginal } from './put-original.ts';
import { copyObject, openObject, readObject } from './read-object.ts';
import { namingErrors } from './s3-errors.ts';
import { storedFolders, sweepUnfinished } from './sweep-unfinished.ts';

/** Settings of a store in a bucket. */
export interface S3StorageSettings extends S3ClientSettings {
  readonly bucket: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  /** How long a presigned address for an upload works, in seconds. */
  readonly presignSeconds: number;
  /** Folder on this machine for files that are on their way. */
  readonly stagingPath: string;
}

/**
 * Storage in a bucket of an S3-compatible store. Nothing is asked of the store here, so a start succeeds also while it is
 * away.
 */
export async function makeS3Storage(settings: S3StorageSettings): Promise<Storage> {
  const { stagingPath, presignSeconds } = settings;
  await mkdir(stagingPath, { recursive: true });
  const clients = makeS3Clients(settings);
  const bucket = makeBucket(clients, settings);
  const putOriginal = makePutOriginal(bucket);
  const put = { original: putOriginal, derived: (file: StagedFile) => moveDerived(bucket, file) };
  return {
    kind: 's3',
    stagingDirectory: stagingPath,
    store(files, kind) {
      for (const { key } of files) assertKey(key);
      return namingErrors(() => storeAll(files, put[kind]));
    },
    stat: (key) => statObject(bucket, key),
    read: async (key, range) => (await openObject(bucket, key, range)).body,
    readAll: (key) => readObject(bucket, key),
    localCopy: (key) => copyObject(bucket, key, stagingPath),
    remove: (key) => removeObject(bucket, key),
    list: () => listStored(bucket),
    async freeBytes() {
      const { bavail, bsize } = await namingErrors(() => statfs(stagingPath));
      return bavail * bsize;
    },
    probe: async () => void (await statObject(bucket, probedKey)),
    check: () => namingErrors(() => checkBucket(bucket)),
    sweepUnfinished: (olderThanMs) => sweepUnfinished(bucket, olderThanMs),
    direct: makeDirectAccess(bucket, presignSeconds),
    close() {
      clients.close();
      return Promise.resolve();
    },
  };
}

/** All at once. Nothing is on its way any more when this fails: the caller removes the files then. */
async function storeAll(
  files: readonly StagedFile[],
  put: (file: StagedFile) => Promise<void>,
): Promise<void> {
  const ended = await Promise.allSettled(files.map(put));
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
}

async function moveDerived(bucket: Bucket, { path, key }: StagedFile): Promise<void> {
  await putObject(bucket, { path, key, body: await readFileBody(path), onlyIfNew: false });
  await unlinkIfThere(path);
}

async function* listStored(bucket: Bucket) {
  for (const folder of storedFolders) yield* listObjects(bucket, folder);
}

/** An object that every installation has; a missing one is not a failure of the store. */
const probedKey = 'installation/id';

async function checkBucket(bucket: Bucket): Promise<void> {
  const key = `checks/${randomUUID()}`;
  await bucket.calls.send(new PutObjectCommand({ ...objectName(bucket, key), Body: key }));
  try {
    const found = await readObject(bucket, key).catch((error: unknown) => {
      if (!(error instanceof FileMissing)) throw error;
      throw new AppError(
        'storage_failed',
        'The storage does not return a file that was just written to it.',
        {
          cause: error,
        },
      );
    });
    if (found.toString() === key) return;
    throw new AppError('storage_failed', 'The storage gave back other bytes than were written to it.');
  } finally {
    await removeObject(bucket, key);
  }
}
