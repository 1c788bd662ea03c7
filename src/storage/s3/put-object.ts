import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { type Bucket, objectName } from './client.ts';
import { isTransient } from './s3-errors.ts';

/** Files larger than this are sent as multipart uploads. */
const maxSinglePutBytes = 16 * 2 ** 20;

/** Maximum number of attempts for a streamed body. The SDK itself only retries requests with a body in memory. */
const maxStreamAttempts = 3;

/**
 * Uploads a file with its SHA-256, so that the store rejects corrupted data. The object is created completely or not at
 * all.
 * @throws the SDK's errors
 */
export async function putObject(bucket: Bucket, request: PutRequest): Promise<void> {
  if (request.body.bytes > maxSinglePutBytes) return putMultipart(bucket, request);
  for (let attempt = 1; ; attempt++) {
    const content = request.body.open();
    try {
      return await putOnce(bucket, request, content);
    } catch (error) {
      const isStream = content instanceof Readable;
      if (!isStream || attempt === maxStreamAttempts || !isTransient(error)) throw error;
      await sleep(50 * 2 ** attempt);
    } finally {
      if (content instanceof Readable) content.destroy();
    }
  }
}

async function putOnce(bucket: Bucket, request: PutRequest, content: Buffer | Readable): Promise<void> {
  const { sha256 } = request.body;
  const command = new PutObjectCommand({
    ...uploadParameters(bucket, request),
    Body: content,
    ChecksumSHA256: sha256.toString('base64'),
  });
  signPayload(command, sha256.toString('hex'));
  if (content instanceof Readable) await sendStream(bucket, command, content);
  else await bucket.client.send(command);
}

/**
 * Sends a stream. Aborts the request if the file cannot be read. Without an error listener, a failed read would end the
 * process.
 */
async function sendStream(bucket: Bucket, command: PutObjectCommand, content: Readable): Promise<void> {
  const readFailure = new AbortController();
  content.once('error', (error) => readFailure.abort(error));
  try {
    await bucket.uploadClient.send(command, { abortSignal: readFailure.signal });
  } catch (error) {
    throw readFailure.signal.aborted ? readFailure.signal.reason : error;
  }
}

/**
 * Includes the hash of the bytes in the signature, so that even a store without checksum support rejects corrupted
 * data.
 */
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

/** A file to upload. */
interface PutRequest {
  readonly path: string;
  readonly key: string;
  readonly body: FileBody;
  /** Whether the upload fails with status 412 if the object already exists. */
  readonly onlyIfNew: boolean;
}

/** Returns the parameters shared by all upload commands. */
function uploadParameters(bucket: Bucket, { key, body, onlyIfNew }: PutRequest) {
  return {
    ...objectName(bucket, key),
    ContentLength: body.bytes,
    // This content type is only for people who browse the bucket. Vitrine sets its own content type when it serves or
    // presigns a file.
    ContentType: key.endsWith('.jpg') ? 'image/jpeg' : 'application/octet-stream',
    ...(onlyIfNew ? { IfNoneMatch: '*' } : {}),
  };
}

const minPartBytes = 8 * 2 ** 20;

/** The maximum number of parts that S3 allows. */
const maxParts = 10_000;

/** Maximum number of parts in memory at the same time. */
const maxParallelParts = 2;

/** Uploads a large file in parts, each with its SHA-256. Removes the parts if the upload fails. */
async function putMultipart(bucket: Bucket, request: PutRequest): Promise<void> {
  const { path, body } = request;
  const partSize = Math.max(minPartBytes, Math.ceil(body.bytes / maxParts));
  const content = createReadStream(path, { highWaterMark: 2 ** 20 });
  const upload = new Upload({
    client: bucket.uploadClient,
    // The store evaluates `IfNoneMatch` when it assembles the parts.
    params: { ...uploadParameters(bucket, request), Body: content, ChecksumAlgorithm: 'SHA256' },
    partSize,
    queueSize: maxParallelParts,
    leavePartsOnError: false,
  });
  try {
    await upload.done();
  } finally {
    content.destroy();
  }
}

/** A local file, ready to be uploaded. */
export interface FileBody {
  readonly bytes: number;
  /** SHA-256 of the bytes. */
  readonly sha256: Buffer;
  /** Returns the bytes if the file is small. Otherwise, returns a new stream for each attempt. */
  readonly open: () => Buffer | ReadStream;
}

/** Files up to this size are read into memory, which is faster than streaming. */
const maxInMemoryBytes = 256 * 1024;

/**
 * Prepares a file for upload. Hashes it again, so that the store verifies the upload against the file's current bytes.
 */
export async function readFileBody(path: string): Promise<FileBody> {
  const { size } = await stat(path);
  if (size <= maxInMemoryBytes) {
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
