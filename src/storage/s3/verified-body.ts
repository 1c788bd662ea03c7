import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { toStorageError, StorageTimeout } from './s3-errors.ts';

/** The expected size and checksum of a body. */
export interface Expected {
  readonly bytes: number | undefined;
  /** SHA-256 of all bytes in Base64; `undefined` if unknown. */
  readonly sha256: string | undefined;
}

/**
 * Passes on a response body. It fails if no data arrives for `timeoutMs` while the reader waits, if it is truncated, or if
 * it does not match `expected`. Time that the reader takes does not count. Destroying the stream frees the connection.
 */
export function verifyBody(source: Readable, timeoutMs: number, expected: Expected): Readable {
  const hash = expected.sha256 === undefined ? undefined : createHash('sha256');
  let received = 0;
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
    received += chunk.length;
    hash?.update(chunk);
    if (body.push(chunk)) return restartTimer();
    // The reader wants no more until `read` is called again.
    source.pause();
    clearTimeout(timer);
  });
  source.once('end', () => {
    clearTimeout(timer);
    const problem = findProblem(expected, received, hash?.digest('base64'));
    if (problem) fail(problem);
    else body.push(null);
  });
  source.on('error', fail);
  source.once('close', () => {
    if (!source.readableEnded) fail(truncated());
  });
  return body;
}

function findProblem(expected: Expected, bytes: number, sha256: string | undefined): AppError | undefined {
  if (expected.bytes !== undefined && bytes !== expected.bytes) return truncated();
  if (sha256 === expected.sha256) return undefined;
  return new AppError('storage_failed', 'The storage returned different bytes than were written.');
}

function truncated(): AppError {
  return new AppError('storage_failed', 'The storage ended its response too early.');
}
