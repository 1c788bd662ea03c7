import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { type Bucket, objectName } from './bucket.ts';
import { isMissing, namingErrors } from './s3-errors.ts';

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
