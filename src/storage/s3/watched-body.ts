import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { namedS3Error, NoAnswerError } from './s3-errors.ts';

/** What a body has to be. */
export interface Expected {
  readonly bytes: number | undefined;
  /** Base64 of the SHA-256 of all bytes; `undefined` when nobody told it. */
  readonly sha256: string | undefined;
}

/**
 * A body of the store, ended with an error when nothing comes for `timeoutMs` although somebody waits for it, when it is
 * cut, or when it is not what was expected. A reader that takes its time is no fault of the store. Destroying it frees
 * the connection.
 */
export function watchBody(source: Readable, timeoutMs: number, expected: Expected): Readable {
  const hash = expected.sha256 === undefined ? undefined : createHash('sha256');
  let received = 0;
  let silence: NodeJS.Timeout | undefined;
  const fail = (error: unknown) => void body.destroy(namedS3Error(error) as Error);
  const expectBytes = () => {
    clearTimeout(silence);
    silence = setTimeout(() => fail(new NoAnswerError(timeoutMs)), timeoutMs);
  };
  const body = new Readable({
    read() {
      expectBytes();
      source.resume();
    },
    destroy(error, done) {
      clearTimeout(silence);
      source.destroy();
      done(error);
    },
  });

  source.on('data', (chunk: Buffer) => {
    received += chunk.length;
    hash?.update(chunk);
    if (body.push(chunk)) return expectBytes();
    // Nobody waits for more until `read` is called again.
    source.pause();
    clearTimeout(silence);
  });
  source.once('end', () => {
    clearTimeout(silence);
    const problem = problemOf(expected, received, hash?.digest('base64'));
    if (problem) fail(problem);
    else body.push(null);
  });
  source.on('error', fail);
  source.once('close', () => {
    if (!source.readableEnded) fail(cut());
  });
  return body;
}

function problemOf(expected: Expected, bytes: number, sha256: string | undefined): AppError | undefined {
  if (expected.bytes !== undefined && bytes !== expected.bytes) return cut();
  if (sha256 === expected.sha256) return undefined;
  return new AppError('storage_failed', 'The storage gave back other bytes than were written to it.');
}

function cut(): AppError {
  return new AppError('storage_failed', 'The storage ended its answer in the middle.');
}
