import {
  DeleteObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import { AppError } from '../../errors.ts';
import { isKey } from '../keys.ts';
import { type Bucket, objectName } from './client.ts';
import { isMissingObject, withStorageErrors, httpStatus } from './s3-errors.ts';
import type { StoredFile } from '../storage.ts';

/** Returns an object's metadata, or `undefined` if it does not exist. @throws {AppError} `storage_failed` */
export function statObject(bucket: Bucket, key: string): Promise<StoredFile | undefined> {
  const command = new HeadObjectCommand(objectName(bucket, key));
  return withStorageErrors(async () => {
    try {
      const metadata = await bucket.client.send(command);
      return { key, bytes: metadata.ContentLength ?? 0, modifiedAt: metadata.LastModified ?? new Date() };
    } catch (error) {
      if (httpStatus(error) !== 404) throw error;
      await assertBucketExists(bucket);
      return undefined;
    }
  });
}

/**
 * Throws if the bucket does not exist. A 404 response to a HEAD request does not show whether the object or the bucket
 * is missing. Without this check, a wrong bucket name would look as if all files had been lost.
 */
async function assertBucketExists({ client, name }: Bucket): Promise<void> {
  try {
    await client.send(new HeadBucketCommand({ Bucket: name }));
  } catch (error) {
    if (httpStatus(error) !== 404) throw error;
    throw new AppError(
      'storage_failed',
      'A storage operation failed (NoSuchBucket: the bucket does not exist; check S3_BUCKET and S3_REGION).',
      { cause: error },
    );
  }
}

/**
 * Iterates over all objects in a folder, page by page, because there may be millions. Skips objects whose key does not
 * have the syntax of a storage key.
 * @param folder must end with a slash
 */
export async function* listObjects(bucket: Bucket, folder: string): AsyncGenerator<StoredFile> {
  let token: string | undefined;
  do {
    const page = await withStorageErrors(() => listPage(bucket, folder, token));
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      const key = Key.slice(bucket.prefix.length);
      if (isKey(key)) yield { key, bytes: Size, modifiedAt: LastModified ?? new Date() };
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
}

function listPage({ client, name, prefix }: Bucket, folder: string, token: string | undefined) {
  return client.send(
    new ListObjectsV2Command({ Bucket: name, Prefix: `${prefix}${folder}`, ContinuationToken: token }),
  );
}

/** Removes an object, if it exists. @throws {AppError} `storage_failed` */
export function removeObject(bucket: Bucket, key: string): Promise<void> {
  const command = new DeleteObjectCommand(objectName(bucket, key));
  return withStorageErrors(async () => {
    try {
      await bucket.client.send(command);
    } catch (error) {
      if (!isMissingObject(error)) throw error;
    }
  });
}
