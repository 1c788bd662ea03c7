import { setTimeout as sleep } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { describeObject, type Put } from './put.ts';
import { putInParts } from './put-in-parts.ts';
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
