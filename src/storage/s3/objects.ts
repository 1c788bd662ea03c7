import { HeadBucketCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { AppError } from '../../errors.ts';
import type { StoredFile } from '../storage.ts';
import { type Bucket, objectName } from './bucket.ts';
import { namingErrors, statusOf } from './s3-errors.ts';

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
