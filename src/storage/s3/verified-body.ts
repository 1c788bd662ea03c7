import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { toStorageError, StorageTimeout } from './s3-errors.ts';

/** The expected size and checksum of a body. */
export interface ExpectedBody {
  readonly bytes: number | undefined;
  /** Base64-encoded SHA-256 of all bytes; `undefined` if unknown. */
  readonly sha256: string | undefined;
}

/**
 * Returns a stream of a response body. The stream fails if no data arrives for `timeoutMs` while the reader waits, or
 * if the body is truncated or does not match `expected`. Destroying the stream frees the connection.
 */
export function verifyBody(source: Readable, timeoutMs: number, expected: ExpectedBody): Readable {
  const hash = expected.sha256 === undefined ? undefined : createHash('sha256');
  let receivedBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const fail = (error: unknown) => void body.destroy(toStorageError(error) as Error);
  const restartTimer = () => {
    clearTimeout(timer);
    timer = setTimeout(() => fail(new StorageTimeout(timeoutMs)), timeoutMs);
  };
  const body = new Readable({
    read() {
      restartTimer();
      source.resume();
    },
    destroy(error, done) {
      clearTimeout(timer);
      source.destroy();
      done(error);
    },
  });

  source.on('data', (chunk: Buffer) => {
    receivedBytes += chunk.length;
    hash?.update(chunk);
    if (body.push(chunk)) return restartTimer();
    // The timeout does not apply while the reader is busy. `read` starts the timer again.
    source.pause();
    clearTimeout(timer);
  });
  source.once('end', () => {
    clearTimeout(timer);
    const error = findBodyError(expected, receivedBytes, hash?.digest('base64'));
    if (error) fail(error);
    else body.push(null);
  });
  source.on('error', fail);
  source.once('close', () => {
    if (!source.readableEnded) fail(truncatedError());
  });
  return body;
}

function findBodyError(
  expected: ExpectedBody,
  bytes: number,
  sha256: string | undefined,
): AppError | undefined {
  if (expected.bytes !== undefined && bytes !== expected.bytes) return truncatedError();
  if (sha256 === expected.sha256) return undefined;
  return new AppError('storage_failed', 'The file read from storage does not match its checksum.');
}

function truncatedError(): AppError {
  return new AppError('storage_failed', 'The store ended its response too early.');
}
