import {
  DeleteObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import { AppError } from '../../errors.ts';
import { isKey } from '../keys.ts';
import { type Bucket, objectName } from './client.ts';
import { isMissing, namingErrors, statusOf } from './s3-errors.ts';
import type { StoredFile } from '../storage.ts';

/** Size and time of an object; `undefined` when there is none. @throws {AppError} `storage_failed` */
export function statObject(bucket: Bucket, key: string): Promise<StoredFile | undefined> {
  const command = new HeadObjectCommand(objectName(bucket, key));
  return namingErrors(async () => {
    try {
      const found = await bucket.calls.send(command);
      return { key, bytes: found.ContentLength ?? 0, modifiedAt: found.LastModified ?? new Date() };
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      await requireBucket(bucket);
      return undefined;
    }
  });
}

/**
 * An answer to HEAD has no body that says what is missing. Without this question, a wrong bucket would look like the loss
 * of every picture.
 */
async function requireBucket({ calls, name }: Bucket): Promise<void> {
  try {
    await calls.send(new HeadBucketCommand({ Bucket: name }));
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    throw new AppError(
      'storage_failed',
      'The storage did not do its work (NoSuchBucket: there is no such bucket; see S3_BUCKET and S3_REGION).',
      { cause: error },
    );
  }
}

/**
 * Every object below the folder, a page at a time: a bucket may hold millions. What Vitrine cannot have put there is
 * left out.
 * @param folder with a slash at its end
 */
export async function* listObjects(bucket: Bucket, folder: string): AsyncGenerator<StoredFile> {
  let next: string | undefined;
  do {
    const page = await namingErrors(() => listPage(bucket, folder, next));
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      const key = Key.slice(bucket.prefix.length);
      if (isKey(key)) yield { key, bytes: Size, modifiedAt: LastModified ?? new Date() };
    }
    next = page.NextContinuationToken;
  } while (next !== undefined);
}

function listPage({ calls, name, prefix }: Bucket, folder: string, from: string | undefined) {
  return calls.send(
    new ListObjectsV2Command({ Bucket: name, Prefix: `${prefix}${folder}`, ContinuationToken: from }),
  );
}

/** Removes an object; one that is gone already is fine. @throws {AppError} `storage_failed` */
export function removeObject(bucket: Bucket, key: string): Promise<void> {
  const command = new DeleteObjectCommand(objectName(bucket, key));
  return namingErrors(async () => {
    try {
      await bucket.calls.send(command);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  });
}
