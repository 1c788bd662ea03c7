import { connect, type Socket } from 'node:net';
import { waitTimeoutMs } from '../time-scale.ts';

/** A raw TCP connection that records everything received. */
export interface RawConnection {
  readonly socket: Socket;
  /** Everything received so far, as Latin-1. */
  received(): string;
  /** Writes bytes. Resolves when they are flushed or the connection is closed. */
  write(bytes: string | Uint8Array): Promise<void>;
  /** Resolves when `pattern` has been received. Rejects after `timeoutMs` or if the connection is closed first. */
  until(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Resolves when the connection is closed, with the elapsed time in milliseconds. */
  closed(): Promise<number>;
}

/** Connects to the server at `url`. */
export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = '';
  const events = new EventTarget();
  const notify = () => events.dispatchEvent(new Event('change'));
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    notify();
  });
  socket.on('error', () => undefined);
  socket.on('close', notify);
  const closePromise = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await Promise.race([closePromise, new Promise((resolve) => socket.once('connect', resolve))]);

  function wait(isDone: () => boolean, timeoutMs: number, expectation: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error?: Error) => {
        clearTimeout(timer);
        events.removeEventListener('change', check);
        if (error) reject(error);
        else resolve();
      };
      const check = () => {
        if (isDone()) finish();
        else if (socket.destroyed)
          finish(new Error(`The connection was closed before ${expectation}. Received: ${text}`));
      };
      const timer = setTimeout(
        () => finish(new Error(`Timed out after ${timeoutMs} ms, before ${expectation}. Received: ${text}`)),
        timeoutMs,
      );
      events.addEventListener('change', check);
      check();
    });
  }

  return {
    socket,
    received: () => text,
    write: (bytes) =>
      Promise.race([closePromise, new Promise<void>((resolve) => void socket.write(bytes, () => resolve()))]),
    async until(pattern, timeoutMs = waitTimeoutMs) {
      await wait(() => pattern.test(text), timeoutMs, `${pattern} was received`);
      return text;
    },
    async closed() {
      const startedAt = performance.now();
      await wait(() => socket.destroyed, waitTimeoutMs, 'the connection was closed');
      return performance.now() - startedAt;
    },
  };
}

export const boundary = 'vitrine-test-boundary';

/** Returns the request head of a form upload. Without `length`, the body is chunked. */
export function formHead(path: string, length?: number): string {
  const size = length === undefined ? 'transfer-encoding: chunked' : `content-length: ${length}`;
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=${boundary}\r\n${size}\r\n\r\n`;
}

/** The boundary and headers before the bytes of the part "file". */
export const partHead = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="photo.jpg"\r\ncontent-type: image/jpeg\r\n\r\n`;

/** The closing boundary of a form. */
export const formEnd = `\r\n--${boundary}--\r\n`;

/** Encodes bytes as one chunk of a chunked body. */
export function chunk(bytes: string | Uint8Array): Buffer {
  const body = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]);
}
