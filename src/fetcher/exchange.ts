import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { AddressRules } from './address-rules.ts';
import { framingOf } from './body-framing.ts';
import { openConnection } from './open-connection.ts';
import type { ResolveHost } from './resolve-host.ts';
import { readBody } from './response-body.ts';
import { makeHeadReader, type ResponseHead } from './response-head.ts';
import {
  closedBeforeHead,
  type Deadlines,
  HeadTimeout,
  namedHeadError,
  reasonOf,
  tooLarge,
} from './source-errors.ts';

/** What all requests of a downloader share. */
export interface ExchangeOptions extends Deadlines {
  readonly rules: AddressRules;
  readonly resolveHost: ResolveHost;
  readonly userAgent: string;
}

/** The head of an answer, with its body still to come. */
export interface Answer {
  readonly head: ResponseHead;
  /**
   * Begins to read the body.
   * @throws {AppError} `source_refused` when its length cannot be known; `body_too_large` when it is announced with
   *   more than `maxBytes`.
   */
  readonly body: (maxBytes: number) => Readable;
  /** Closes the connection; must be called in every case. */
  readonly end: () => Promise<void>;
}

/**
 * One GET on a connection of its own, which serves nothing else: it was judged for this URL.
 * @throws {AppError} `address_not_allowed`, `source_refused`, `source_unavailable`; the reason of `signal`.
 */
export async function ask(href: string, options: ExchangeOptions, signal: AbortSignal): Promise<Answer> {
  signal.throwIfAborted();
  const url = new URL(href);
  const { socket, isExempt } = await openConnection(url, { ...options, signal });
  const closed = whenClosed(socket);
  const stop = () => void socket.destroy(reasonOf(signal));
  signal.addEventListener('abort', stop, { once: true });
  const end = () => {
    signal.removeEventListener('abort', stop);
    socket.destroy();
    return closed;
  };
  try {
    socket.write(requestFor(url, options.userAgent));
    const { head, rest } = await readHead(socket, options.headersMs);
    const body = (maxBytes: number) => {
      const framing = framingOf(head);
      if ((framing.announced ?? 0) > maxBytes) throw tooLarge(maxBytes);
      return readBody(socket, framing, rest, options.idleMs);
    };
    return { head, body, end };
  } catch (error) {
    await end();
    throw signal.aborted ? reasonOf(signal) : namedHeadError(error, { ...options, isExempt });
  }
}

function whenClosed(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/**
 * The request. Any type is accepted: some servers refuse `image/*`, others send other formats to those who name newer
 * ones, and an import wants the file as it lies there. Identity, so that the bytes that are counted are the bytes that
 * are stored. A parsed URL holds neither blanks nor line ends.
 */
function requestFor({ host, pathname, search }: URL, userAgent: string): string {
  const fields = [
    `Host: ${host}`,
    `User-Agent: ${userAgent}`,
    'Accept: */*',
    'Accept-Encoding: identity',
    'Connection: close',
  ];
  return `GET ${pathname}${search} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`;
}

/** Reads up to the end of the head, and leaves the socket paused there. */
async function readHead(socket: Socket, headersMs: number) {
  const { promise, resolve, reject } = Promise.withResolvers<{ head: ResponseHead; rest: Buffer }>();
  const reader = makeHeadReader();
  const take = (chunk: Buffer) => {
    try {
      const complete = reader.take(chunk);
      if (!complete) return;
      socket.pause();
      resolve(complete);
    } catch (error) {
      reject(error);
    }
  };
  const close = () => reject(socket.errored ?? closedBeforeHead());
  const timer = setTimeout(() => reject(new HeadTimeout()), headersMs);
  socket.on('data', take).once('end', close).once('close', close);
  if (socket.destroyed) close();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.off('data', take).off('end', close).off('close', close);
  }
}
