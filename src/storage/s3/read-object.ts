import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { AppError } from '../../errors.ts';
import { unlinkIfThere } from '../storage-errors.ts';
import type { ByteRange, LocalCopy } from '../storage.ts';
import { type Bucket, type ObjectName, objectName } from './client.ts';
import { wholeChecksum } from './put-original.ts';
import { namingErrors } from './s3-errors.ts';
import { watchBody } from './watched-body.ts';

/** An object whose bytes are on their way. */
export interface OpenObject {
  readonly body: Readable;
  /** What a client said of its file, by lower-case names. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The bytes of an object, or some of them, as they come. @throws {FileMissing} @throws {AppError} `storage_failed`. */
export function openObject(bucket: Bucket, key: string, range?: ByteRange): Promise<OpenObject> {
  const command = new GetObjectCommand({
    ...objectName(bucket, key),
    ...(range ? { Range: `bytes=${range.first}-${range.last}` } : {}),
  });
  return namingErrors(async () => {
    const answer = await bucket.calls.send(command);
    return { body: watch(bucket, answer, undefined), metadata: answer.Metadata ?? {} };
  });
}

/** The whole object in memory, compared with its checksum when the store has one. @throws as `openObject` */
export function readObject(bucket: Bucket, key: string): Promise<Buffer> {
  const name = objectName(bucket, key);
  return namingErrors(async () => buffer(await openVerified(bucket, name)));
}

/** The object as a file in `folder`, compared with its checksum. @throws as `openObject`; `storage_full` */
export function copyObject(bucket: Bucket, key: string, folder: string): Promise<LocalCopy> {
  const name = objectName(bucket, key);
  return namingErrors(async () => {
    const body = await openVerified(bucket, name);
    const path = join(folder, `copy-${randomUUID()}`);
    try {
      await pipeline(body, createWriteStream(path, { flags: 'wx' }));
    } catch (error) {
      await unlinkIfThere(path);
      throw error;
    }
    return { path, release: () => unlinkIfThere(path) };
  });
}

async function openVerified(bucket: Bucket, name: ObjectName): Promise<Readable> {
  const command = new GetObjectCommand(name);
  // Asked for by hand: the library's own check leaves the connection open when its reader goes away.
  command.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-checksum-mode'] = 'ENABLED';
      return next(args);
    },
    { step: 'build', name: 'askForChecksum' },
  );
  const answer = await bucket.calls.send(command);
  return watch(bucket, answer, wholeChecksum(answer.ChecksumSHA256));
}

function watch({ timeoutMs }: Bucket, answer: GetObjectCommandOutput, sha256: string | undefined): Readable {
  if (!(answer.Body instanceof Readable)) {
    throw new AppError('storage_failed', 'The storage answered without a body.');
  }
  return watchBody(answer.Body, timeoutMs, { bytes: answer.ContentLength, sha256 });
}
