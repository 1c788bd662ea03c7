import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { AppError } from '../../errors.ts';
import { removeIfExists } from '../storage-errors.ts';
import type { ByteRange, LocalCopy } from '../storage.ts';
import { type Bucket, type ObjectName, objectName } from './client.ts';
import { fullObjectChecksum } from './put-original.ts';
import { withStorageErrors } from './s3-errors.ts';
import { verifyBody } from './verified-body.ts';

/** An object that is being read. */
export interface OpenObject {
  readonly body: Readable;
  /** Metadata set by the upload, by lower-case name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Opens an object, or a range of it, as a stream. @throws {FileMissing} @throws {AppError} `storage_failed` */
export function openObject(bucket: Bucket, key: string, range?: ByteRange): Promise<OpenObject> {
  const command = new GetObjectCommand({
    ...objectName(bucket, key),
    ...(range ? { Range: `bytes=${range.first}-${range.last}` } : {}),
  });
  return withStorageErrors(async () => {
    const response = await bucket.client.send(command);
    return { body: toVerifiedBody(bucket, response, undefined), metadata: response.Metadata ?? {} };
  });
}

/**
 * Reads a whole object into memory. Verifies its checksum if the store reports one.
 * @throws the same errors as `openObject`
 */
export function readObject(bucket: Bucket, key: string): Promise<Buffer> {
  const name = objectName(bucket, key);
  return withStorageErrors(async () => buffer(await openVerified(bucket, name)));
}

/**
 * Copies an object to a file in `folder`. Verifies its checksum if the store reports one.
 * @throws the same errors as `openObject`; {AppError} `storage_full`
 */
export function copyObject(bucket: Bucket, key: string, folder: string): Promise<LocalCopy> {
  const name = objectName(bucket, key);
  return withStorageErrors(async () => {
    const body = await openVerified(bucket, name);
    const path = join(folder, `copy-${randomUUID()}`);
    try {
      await pipeline(body, createWriteStream(path, { flags: 'wx' }));
    } catch (error) {
      await removeIfExists(path);
      throw error;
    }
    return { path, release: () => removeIfExists(path) };
  });
}

async function openVerified(bucket: Bucket, name: ObjectName): Promise<Readable> {
  const command = new GetObjectCommand(name);
  // The checksum is requested with a header, because the SDK's own verification leaks the connection if the reader
  // stops early.
  command.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-checksum-mode'] = 'ENABLED';
      return next(args);
    },
    { step: 'build', name: 'requestChecksum' },
  );
  const response = await bucket.client.send(command);
  return toVerifiedBody(bucket, response, fullObjectChecksum(response.ChecksumSHA256));
}

function toVerifiedBody(
  { timeoutMs }: Bucket,
  response: GetObjectCommandOutput,
  sha256: string | undefined,
): Readable {
  if (!(response.Body instanceof Readable)) {
    throw new AppError('storage_failed', 'The store sent a response without a body.');
  }
  return verifyBody(response.Body, timeoutMs, { bytes: response.ContentLength, sha256 });
}
