import { type Readable, Transform } from 'node:stream';
import { reasonOf, tooLarge } from './source-errors.ts';

interface Limits {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * `body` up to a limit. When it is closed, by its end, an error, the signal or its reader, so is `body`.
 * @returns a stream whose errors are those of `body`, `body_too_large` or the reason of the signal
 */
export function limitBody(body: Readable, { maxBytes, signal }: Limits): Readable {
  const limited = countingStream(maxBytes);
  const stop = () => limited.destroy(reasonOf(signal));
  signal.addEventListener('abort', stop, { once: true });
  body.once('error', (error) => limited.destroy(error));
  limited.once('close', () => {
    signal.removeEventListener('abort', stop);
    body.destroy();
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
