import type { S3Client } from '@aws-sdk/client-s3';
import { assertKey } from '../keys.ts';
import type { S3Clients } from './client.ts';

/** The part of a bucket that belongs to this installation. */
export interface Bucket {
  readonly calls: S3Client;
  readonly uploads: S3Client;
  readonly name: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  /** Longest wait between two packets of a body, in milliseconds. */
  readonly timeoutMs: number;
}

/** How commands name a bucket and an object in it. */
export interface ObjectName {
  readonly Bucket: string;
  readonly Key: string;
}

/** @see Bucket */
export function makeBucket(
  { calls, uploads }: S3Clients,
  config: { readonly bucket: string; readonly prefix: string; readonly timeoutMs: number },
): Bucket {
  return { calls, uploads, name: config.bucket, prefix: config.prefix, timeoutMs: config.timeoutMs };
}

/** @throws when `key` is no storage key. */
export function objectName({ name, prefix }: Bucket, key: string): ObjectName {
  assertKey(key);
  return { Bucket: name, Key: `${prefix}${key}` };
}
