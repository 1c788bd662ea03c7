import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { type Bucket, objectName } from './client.ts';
import { isPassing } from './s3-errors.ts';

/** Files above this size are sent in parts. */
const partsFromBytes = 16 * 2 ** 20;

/** Tries of a body that is streamed; the library repeats small ones by itself. */
const streamAttempts = 3;

/**
 * Sends a file with its SHA-256, so that the store refuses what arrives damaged. The object is whole or not there.
 * @throws what the library throws
 */
export async function putObject(bucket: Bucket, put: Put): Promise<void> {
  if (put.body.bytes > partsFromBytes) return putInParts(bucket, put);
  for (let attempt = 1; ; attempt++) {
    const content = put.body.open();
    try {
      return await putOnce(bucket, put, content);
    } catch (error) {
      const isStream = content instanceof Readable;
      if (!isStream || attempt === streamAttempts || !isPassing(error)) throw error;
      await sleep(50 * 2 ** attempt);
    } finally {
      if (content instanceof Readable) content.destroy();
    }
  }
}

async function putOnce(bucket: Bucket, put: Put, content: Buffer | Readable): Promise<void> {
  const { sha256 } = put.body;
  const command = new PutObjectCommand({
    ...describeObject(bucket, put),
    Body: content,
    ChecksumSHA256: sha256.toString('base64'),
  });
  signPayload(command, sha256.toString('hex'));
  if (content instanceof Readable) await sendStream(bucket, command, content);
  else await bucket.calls.send(command);
}

/** A file that cannot be read any more ends the call; unheard, its error would end the process. */
async function sendStream(bucket: Bucket, command: PutObjectCommand, content: Readable): Promise<void> {
  const unreadable = new AbortController();
  content.once('error', (error) => unreadable.abort(error));
  try {
    await bucket.uploads.send(command, { abortSignal: unreadable.signal });
  } catch (error) {
    throw unreadable.signal.aborted ? unreadable.signal.reason : error;
  }
}

/** The signature covers the bytes too: a store that knows no checksums refuses damage all the same. */
function signPayload(command: PutObjectCommand, sha256: string): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'signPayload' },
  );
}

/** A file that is to become an object. */
interface Put {
  readonly path: string;
  readonly key: string;
  readonly body: FileBody;
  /** Puts only where nothing lies yet; the store answers 412 otherwise. */
  readonly onlyIfNew: boolean;
}

/** What every command that makes an object says of it. */
function describeObject(bucket: Bucket, { key, body, onlyIfNew }: Put) {
  return {
    ...objectName(bucket, key),
    ContentLength: body.bytes,
    // For those who look into the bucket; Vitrine's own answers know the type from the database.
    ContentType: key.endsWith('.jpg') ? 'image/jpeg' : 'application/octet-stream',
    ...(onlyIfNew ? { IfNoneMatch: '*' } : {}),
  };
}

const partBytes = 8 * 2 ** 20;

/** A store takes no more parts than this. */
const maxParts = 10_000;

/** Parts in memory at once. */
const partsAtOnce = 2;

/** A large file, part by part; each has its SHA-256. What a failure leaves is removed. */
async function putInParts(bucket: Bucket, put: Put): Promise<void> {
  const { path, body } = put;
  const partSize = Math.max(partBytes, Math.ceil(body.bytes / maxParts));
  const content = createReadStream(path, { highWaterMark: 2 ** 20 });
  const upload = new Upload({
    client: bucket.uploads,
    // A condition counts when the parts are put together.
    params: { ...describeObject(bucket, put), Body: content, ChecksumAlgorithm: 'SHA256' },
    partSize,
    queueSize: partsAtOnce,
    leavePartsOnError: false,
  });
  try {
    await upload.done();
  } finally {
    content.destroy();
  }
}

/** A file of this machine, ready to be sent. */
export interface FileBody {
  readonly bytes: number;
  /** SHA-256 of the bytes. */
  readonly sha256: Buffer;
  /** The bytes when they are few, else a new stream for each try: one that was sent cannot be sent again. */
  readonly open: () => Buffer | ReadStream;
}

/** Files up to this size are read at once: that is faster than a stream. */
const smallBytes = 256 * 1024;

/** Hashes the file anew: what arrives at the store is compared with what lies here, not with what should. */
export async function readFileBody(path: string): Promise<FileBody> {
  const { size } = await stat(path);
  if (size <= smallBytes) {
    const content = await readFile(path);
    const sha256 = createHash('sha256').update(content).digest();
    return { bytes: content.length, sha256, open: () => content };
  }
  return { bytes: size, sha256: await hashFile(path), open: () => createReadStream(path) };
}

async function hashFile(path: string): Promise<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest();
}
