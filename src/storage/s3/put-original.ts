import { setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { StagedFile } from '../storage.ts';
import { type Bucket, objectName } from './client.ts';
import { type FileBody, putObject, readFileBody } from './put-object.ts';
import { nameOf, statusOf } from './s3-errors.ts';

/** Stores an original; whole and durable when this returns. */
export type PutOriginal = (file: StagedFile) => Promise<void>;

/** How often a put is repeated that meets another one of the same key, or an object that goes away. */
const maxRounds = 5;

/** What a store answers that does not know the condition. */
const unknownCondition = new Set(['NotImplemented', 'InvalidArgument', 'InvalidRequest', 'NotSupported']);

/**
 * Originals are put under the condition that nothing lies there: an original that is known is not sent again and never
 * overwritten, except when it proves to be damaged. A store that does not know the condition is remembered, and gets
 * originals without it. The key names the content, so that overwriting is harmless.
 */
export function makePutOriginal(bucket: Bucket): PutOriginal {
  let knowsConditions = true;

  async function putWithoutCondition(file: StagedFile, body: FileBody): Promise<void> {
    await putObject(bucket, { ...file, body, onlyIfNew: false });
  }

  /** True when the object is there, false when the put is to be repeated. */
  async function putIfNew(file: StagedFile, body: FileBody): Promise<boolean> {
    try {
      await putObject(bucket, { ...file, body, onlyIfNew: true });
      return true;
    } catch (error) {
      if (statusOf(error) === 409) return false;
      if (statusOf(error) === 412) return settleConflict(file, body);
      if (!isUnknownCondition(error)) throw error;
      await putWithoutCondition(file, body);
      knowsConditions = false;
      return true;
    }
  }

  async function settleConflict(file: StagedFile, body: FileBody): Promise<boolean> {
    const found = await compareStored(bucket, file.key, body);
    if (found === 'damaged') await putWithoutCondition(file, body);
    return found !== 'missing';
  }

  return async (file) => {
    const body = await readFileBody(file.path);
    for (let round = 1; knowsConditions && round <= maxRounds; round++) {
      if (await putIfNew(file, body)) return;
      await sleep(50 * round);
    }
    await putWithoutCondition(file, body);
  };
}

function isUnknownCondition(error: unknown): boolean {
  const status = statusOf(error);
  return status === 501 || (status === 400 && unknownCondition.has(nameOf(error)));
}

/** What lies under the key, compared by size, and by its SHA-256 when the store tells one of the whole object. */
async function compareStored(
  bucket: Bucket,
  key: string,
  { bytes, sha256 }: FileBody,
): Promise<'same' | 'damaged' | 'missing'> {
  const command = new HeadObjectCommand({ ...objectName(bucket, key), ChecksumMode: 'ENABLED' });
  const found = await bucket.calls.send(command).catch((error: unknown) => {
    if (statusOf(error) === 404) return undefined;
    throw error;
  });
  if (!found) return 'missing';
  if (found.ContentLength !== bytes) return 'damaged';
  const told = wholeChecksum(found.ChecksumSHA256);
  return told === undefined || told === sha256.toString('base64') ? 'same' : 'damaged';
}

/** The checksum of an object in parts is one of checksums, and ends with their number. */
export function wholeChecksum(told: string | undefined): string | undefined {
  return told?.includes('-') ? undefined : told;
}
