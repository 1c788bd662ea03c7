import { connect, type Socket } from 'node:net';
import { patienceMs } from '../time-scale.ts';

/** A connection below HTTP: what is written goes out as it is, what comes back is kept. */
export interface RawConnection {
  readonly socket: Socket;
  /** All that came so far, one character for each byte. */
  received(): string;
  /** Writes, and waits until the system took the bytes or the connection ended. */
  write(bytes: string | Uint8Array): Promise<void>;
  /** Resolves when `pattern` has come; fails when the connection ends before, or after `milliseconds`. */
  until(pattern: RegExp, milliseconds?: number): Promise<string>;
  /** Resolves when the connection is closed, with how long that took. */
  closed(): Promise<number>;
}

/** Connects to the server at `url`. */
export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = '';
  const events = new EventTarget();
  const tell = () => events.dispatchEvent(new Event('news'));
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    tell();
  });
  socket.on('error', () => undefined);
  socket.on('close', tell);
  const end = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await Promise.race([end, new Promise((resolve) => socket.once('connect', resolve))]);

  function wait(isDone: () => boolean, milliseconds: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error?: Error) => {
        clearTimeout(timer);
        events.removeEventListener('news', look);
        if (error) reject(error);
        else resolve();
      };
      const look = () => {
        if (isDone()) finish();
        else if (socket.destroyed)
          finish(new Error(`The connection ended before ${what}; received: ${text}`));
      };
      const timer = setTimeout(
        () => finish(new Error(`${what}: not in ${milliseconds} ms; received: ${text}`)),
        milliseconds,
      );
      events.addEventListener('news', look);
      look();
    });
  }

  return {
    socket,
    received: () => text,
    write: (bytes) =>
      Promise.race([end, new Promise<void>((resolve) => void socket.write(bytes, () => resolve()))]),
    async until(pattern, milliseconds = patienceMs) {
      await wait(() => pattern.test(text), milliseconds, String(pattern));
      return text;
    },
    async closed() {
      const began = performance.now();
      await wait(() => socket.destroyed, patienceMs, 'the end');
      return performance.now() - began;
    },
  };
}

export const boundary = 'vitrine-test-boundary';

/** Head of a POST of a form; `length` as Content-Length, else chunked. */
export function formHead(path: string, length?: number): string {
  const size = length === undefined ? 'transfer-encoding: chunked' : `content-length: ${length}`;
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=${boundary}\r\n${size}\r\n\r\n`;
}

/** What stands before the bytes of the part "file". */
export const partHead = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="photo.jpg"\r\ncontent-type: image/jpeg\r\n\r\n`;

/** What ends a form. */
export const formEnd = `\r\n--${boundary}--\r\n`;

/** One chunk of a chunked body. */
export function chunk(bytes: string | Uint8Array): Buffer {
  const body = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]);
}
