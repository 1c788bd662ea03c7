import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { AddressRules } from './address-rules.ts';
import { openConnection } from './open-connection.ts';
import type { ResolveHost } from './resolve-host.ts';
import {
  abortReason,
  bodyTooLarge,
  type Deadlines,
  errorCode,
  HeadTimeout,
  idleTimeout,
  maxHeadBytes,
  toBodyError,
  toHeadError,
  truncatedBody,
} from './source-errors.ts';

/** Options shared by all requests of a downloader. */
export interface ExchangeOptions extends Deadlines {
  readonly rules: AddressRules;
  readonly resolveHost: ResolveHost;
  readonly userAgent: string;
}

/** A response whose head has been received and whose body has not been read yet. */
export interface SourceResponse {
  readonly head: ResponseHead;
  /**
   * Starts reading the body.
   * @throws {AppError} `body_too_large` if the declared length exceeds `maxBytes`.
   */
  readonly readBody: (maxBytes: number) => Readable;
  /** Closes the connection. Must be called in every case. */
  readonly close: () => Promise<void>;
}

/** Status and headers of a response. */
export interface ResponseHead {
  readonly status: number;
  /** Header values by lower-case name, in the order received. Bytes beyond ASCII are latin1 characters. */
  readonly headers: Readonly<Partial<Record<string, readonly string[]>>>;
}

/** Returns the non-empty members of a comma-separated header, in lower case. */
export function headerList({ headers }: ResponseHead, name: string): string[] {
  const values = (headers[name] ?? []).flatMap((value) => value.split(','));
  return values.map((value) => value.trim().toLowerCase()).filter((value) => value !== '');
}

/**
 * Sends one GET on its own connection. The connection is never reused, because its address was checked for this URL only.
 * @throws {AppError} `address_not_allowed`, `source_refused`, `source_unavailable`; the reason of `signal`.
 */
export async function sendRequest(
  href: string,
  options: ExchangeOptions,
  signal: AbortSignal,
): Promise<SourceResponse> {
  signal.throwIfAborted();
  const url = new URL(href);
  const { socket, isExempt } = await openConnection(url, { ...options, signal });
  const closed = whenClosed(socket);
  const stop = () => void socket.destroy(abortReason(signal));
  signal.addEventListener('abort', stop, { once: true });
  const close = () => {
    signal.removeEventListener('abort', stop);
    socket.destroy();
    return closed;
  };
  try {
    const message = await receiveHead(socket, url, options);
    const head = { status: message.statusCode ?? 0, headers: message.headersDistinct };
    const readBody = (maxBytes: number) => {
      if (declaredLength(message) > maxBytes) throw bodyTooLarge(maxBytes);
      return streamBody(message, options.idleMs);
    };
    return { head, readBody, close };
  } catch (error) {
    await close();
    throw signal.aborted ? abortReason(signal) : toHeadError(error, { ...options, isExempt });
  }
}

function declaredLength({ headers }: IncomingMessage): number {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : 0;
}

function whenClosed(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/**
 * Sends the request and waits for the head of the response. Any type is accepted: some servers refuse `image/*`, others
 * send newer formats to clients that name them, and an import needs the file as stored. `identity` is requested so that
 * the bytes counted are the bytes stored.
 */
async function receiveHead(
  socket: Socket,
  url: URL,
  { userAgent, headersMs }: ExchangeOptions,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request({
    createConnection: () => socket,
    path: url.pathname + url.search,
    headers: { host: url.host, 'user-agent': userAgent, accept: '*/*', 'accept-encoding': 'identity' },
    maxHeaderSize: maxHeadBytes,
    // Servers of real shops violate the specification. No byte of this connection can be mistaken for another response.
    insecureHTTPParser: true,
  });
  // No limit on their number: all headers count towards the limit in bytes.
  sent.maxHeadersCount = 0;
  sent.once('response', (response) => {
    // Bytes after a complete body raise an error on the request only.
    sent.on('error', (error) => response.complete || response.destroy(error));
    // Without a listener, Node discards an error that arrives together with the head.
    response.on('error', () => {});
    resolve(response);
  });
  // A 101 responds to an upgrade that was not requested. Its status is refused later.
  sent.once('upgrade', resolve).on('error', reject);
  const timer = setTimeout(() => reject(new HeadTimeout()), headersMs);
  sent.end();
  return promise.finally(() => clearTimeout(timer));
}

/**
 * Streams the body of a response and maps its errors. Closing the stream closes the connection.
 * @param idleMs longest pause of the server, in milliseconds; time that the reader takes does not count
 */
function streamBody(response: IncomingMessage, idleMs: number): Readable {
  const { socket } = response;
  const declared = response.headers['transfer-encoding'] ? undefined : response.headers['content-length'];
  let received = 0;
  const body = new Readable({
    read: () => void response.resume(),
    destroy(error, done) {
      response.destroy();
      socket.destroy();
      done(error);
    },
  });
  response.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (!body.push(chunk)) response.pause();
  });
  response.once('end', () => void body.push(null));
  // Node reports every early end as a reset. Only the socket shows whether the connection broke.
  const fail = (error: Error) => {
    const isEarlyEnd = errorCode(error) === 'ECONNRESET' && !socket.errored;
    body.destroy(isEarlyEnd ? truncatedBody(received, declared) : toBodyError(error));
  };
  if (response.errored) fail(response.errored);
  else response.once('error', fail);
  socket.setTimeout(idleMs, () => {
    if (response.isPaused()) socket.setTimeout(idleMs);
    else body.destroy(idleTimeout(idleMs));
  });
  // An error may occur before the reader listens; the stream keeps it.
  body.on('error', () => {});
  return body;
}
