import { type Bucket, objectName } from './bucket.ts';
import type { FileBody } from './file-body.ts';

/** A file that is to become an object. */
export interface Put {
  readonly path: string;
  readonly key: string;
  readonly body: FileBody;
  /** Puts only where nothing lies yet; the store answers 412 otherwise. */
  readonly onlyIfNew: boolean;
}

/** What every command that makes an object says of it. */
export function describeObject(bucket: Bucket, { key, body, onlyIfNew }: Put) {
  return {
    ...objectName(bucket, key),
    ContentLength: body.bytes,
    // For those who look into the bucket; Vitrine's own answers know the type from the database.
    ContentType: key.endsWith('.jpg') ? 'image/jpeg' : 'application/octet-stream',
    ...(onlyIfNew ? { IfNoneMatch: '*' } : {}),
  };
}
