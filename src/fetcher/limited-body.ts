import { type Readable, Transform } from 'node:stream';
import type { Answer } from './exchange.ts';
import { type Deadlines, namedBodyError, reasonOf, tooLarge } from './source-errors.ts';

interface Limits extends Deadlines {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
}

/**
 * The body of `answer` up to a limit. Its errors are named; when it is closed, by its end, an error or its reader, the
 * connection goes with it.
 */
export function limitBody({ body, end }: Answer, limits: Limits, signal: AbortSignal): Readable {
  const limited = countingStream(limits.maxBytes);
  const stop = () => limited.destroy(reasonOf(signal));
  signal.addEventListener('abort', stop, { once: true });
  body.once('error', (error) => limited.destroy(namedBodyError(error, limits)));
  limited.once('close', () => {
    signal.removeEventListener('abort', stop);
    void end();
  });
  // An error may come before the reader listens; the stream keeps it for him.
  limited.on('error', () => {});
  return body.pipe(limited);
}

function countingStream(maxBytes: number): Transform {
  let received = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length;
      if (received > maxBytes) done(tooLarge(maxBytes));
      else done(null, chunk);
    },
  });
}
