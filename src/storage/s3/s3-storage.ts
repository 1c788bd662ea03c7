import { randomUUID } from 'node:crypto';
import { mkdir, statfs } from 'node:fs/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { AppError, FileMissing } from '../../errors.ts';
import { assertKey, installationKey } from '../keys.ts';
import { removeIfExists } from '../storage-errors.ts';
import type { StagedFile, Storage } from '../storage.ts';
import { type Bucket, makeBucket, makeS3Clients, objectName, type S3ClientSettings } from './client.ts';
import { makeDirectAccess } from './direct-access.ts';
import { putObject, readFileBody } from './put-object.ts';
import { listObjects, removeObject, statObject } from './objects.ts';
import { makePutOriginal } from './put-original.ts';
import { copyObject, openObject, readObject } from './read-object.ts';
import { withStorageErrors } from './s3-errors.ts';
import { storedFolders, sweepUnfinished } from './sweep-unfinished.ts';

/** Settings for storage in a bucket. */
export interface S3StorageSettings extends S3ClientSettings {
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** How long presigned upload URLs are valid, in seconds. */
  readonly presignSeconds: number;
  /** Local folder for files that are not uploaded yet. */
  readonly stagingPath: string;
}

/**
 * Creates storage in a bucket of an S3-compatible store. Sends no request, so that startup succeeds even if the store
 * is unavailable.
 */
export async function makeS3Storage(settings: S3StorageSettings): Promise<Storage> {
  const { stagingPath, presignSeconds } = settings;
  await mkdir(stagingPath, { recursive: true });
  const clients = makeS3Clients(settings);
  const bucket = makeBucket(clients, settings);
  const putOriginal = makePutOriginal(bucket);
  const putByKind = { original: putOriginal, derived: (file: StagedFile) => moveDerived(bucket, file) };
  return {
    kind: 's3',
    stagingDirectory: stagingPath,
    store(files, kind) {
      for (const { key } of files) assertKey(key);
      return withStorageErrors(() => storeAll(files, putByKind[kind]));
    },
    stat: (key) => statObject(bucket, key),
    read: async (key, range) => (await openObject(bucket, key, range)).body,
    readAll: (key) => readObject(bucket, key),
    localCopy: (key) => copyObject(bucket, key, stagingPath),
    remove: (key) => removeObject(bucket, key),
    list: () => listStored(bucket),
    async freeBytes() {
      const { bavail, bsize } = await withStorageErrors(() => statfs(stagingPath));
      return bavail * bsize;
    },
    // The probe requests the marker object's metadata. It succeeds even if the object is missing, because the store has
    // responded.
    probe: async () => void (await statObject(bucket, installationKey)),
    check: () => withStorageErrors(() => checkBucket(bucket)),
    sweepUnfinished: (olderThanMs) => sweepUnfinished(bucket, olderThanMs),
    directAccess: makeDirectAccess(bucket, presignSeconds),
    close() {
      clients.close();
      return Promise.resolve();
    },
  };
}

/** Stores files concurrently. Waits for all uploads, because the caller removes the files if an upload fails. */
async function storeAll(
  files: readonly StagedFile[],
  put: (file: StagedFile) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(files.map(put));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function moveDerived(bucket: Bucket, { path, key }: StagedFile): Promise<void> {
  await putObject(bucket, { path, key, body: await readFileBody(path), onlyIfNew: false });
  await removeIfExists(path);
}

async function* listStored(bucket: Bucket) {
  for (const folder of storedFolders) yield* listObjects(bucket, folder);
}

/** Writes, reads and removes a test file. */
async function checkBucket(bucket: Bucket): Promise<void> {
  const key = `checks/${randomUUID()}`;
  await bucket.client.send(new PutObjectCommand({ ...objectName(bucket, key), Body: key }));
  try {
    const content = await readObject(bucket, key).catch((error: unknown) => {
      if (!(error instanceof FileMissing)) throw error;
      throw new AppError(
        'storage_failed',
        'A test file was written to storage, but could not be found afterwards.',
        {
          cause: error,
        },
      );
    });
    if (content.toString() === key) return;
    throw new AppError(
      'storage_failed',
      'The test file read back from storage differs from what was written.',
    );
  } finally {
    await removeObject(bucket, key);
  }
}
