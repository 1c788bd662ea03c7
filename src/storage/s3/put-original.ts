import { setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { StagedFile } from '../storage.ts';
import { type Bucket, objectName } from './client.ts';
import { type FileBody, putObject, readFileBody } from './put-object.ts';
import { errorName, httpStatus } from './s3-errors.ts';

/** Stores an original. When this returns, the stored file is complete and durable. */
export type PutOriginal = (file: StagedFile) => Promise<void>;

/** Maximum number of attempts if a concurrent upload or removal of the same key interferes. */
const maxAttempts = 5;

/** Error names that a store without support for conditional uploads may return. */
const unsupportedConditionErrors = new Set([
  'NotImplemented',
  'InvalidArgument',
  'InvalidRequest',
  'NotSupported',
]);

/**
 * Creates a function that uploads originals on the condition that the object does not exist yet. An existing original
 * is only overwritten if it is damaged. If the store does not support the condition, this and all later originals are
 * uploaded without it. Overwriting is harmless, because the key identifies the content.
 */
export function makePutOriginal(bucket: Bucket): PutOriginal {
  let supportsConditions = true;

  async function putUnconditionally(file: StagedFile, body: FileBody): Promise<void> {
    await putObject(bucket, { ...file, body, onlyIfNew: false });
  }

  /** Returns whether the object now exists. If not, the caller must retry. */
  async function putIfNew(file: StagedFile, body: FileBody): Promise<boolean> {
    try {
      await putObject(bucket, { ...file, body, onlyIfNew: true });
      return true;
    } catch (error) {
      if (httpStatus(error) === 409) return false;
      if (httpStatus(error) === 412) return resolveConflict(file, body);
      if (!isUnsupportedCondition(error)) throw error;
      await putUnconditionally(file, body);
      supportsConditions = false;
      return true;
    }
  }

  async function resolveConflict(file: StagedFile, body: FileBody): Promise<boolean> {
    const state = await compareStored(bucket, file.key, body);
    if (state === 'damaged') await putUnconditionally(file, body);
    return state !== 'missing';
  }

  return async (file) => {
    const body = await readFileBody(file.path);
    for (let attempt = 1; supportsConditions && attempt <= maxAttempts; attempt++) {
      if (await putIfNew(file, body)) return;
      await sleep(50 * attempt);
    }
    await putUnconditionally(file, body);
  };
}

function isUnsupportedCondition(error: unknown): boolean {
  const status = httpStatus(error);
  return status === 501 || (status === 400 && unsupportedConditionErrors.has(errorName(error)));
}

/** Compares the stored object with the file by size and, if the store reports it, by SHA-256. */
async function compareStored(
  bucket: Bucket,
  key: string,
  { bytes, sha256 }: FileBody,
): Promise<'intact' | 'damaged' | 'missing'> {
  const command = new HeadObjectCommand({ ...objectName(bucket, key), ChecksumMode: 'ENABLED' });
  const metadata = await bucket.client.send(command).catch((error: unknown) => {
    if (httpStatus(error) === 404) return undefined;
    throw error;
  });
  if (!metadata) return 'missing';
  if (metadata.ContentLength !== bytes) return 'damaged';
  const storedChecksum = fullObjectChecksum(metadata.ChecksumSHA256);
  return storedChecksum === undefined || storedChecksum === sha256.toString('base64') ? 'intact' : 'damaged';
}

/**
 * Returns `checksum` if it covers the whole object. The checksum of a multipart object does not: it is calculated from
 * the checksums of the parts and ends with `-` and the number of parts.
 */
export function fullObjectChecksum(checksum: string | undefined): string | undefined {
  return checksum?.includes('-') ? undefined : checksum;
}
