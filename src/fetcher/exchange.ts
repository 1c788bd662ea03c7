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

/** Options shared by all requests of a fetcher. */
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
  /** Closes the connection. The caller must always call this function. */
  readonly close: () => Promise<void>;
}

/** Status and headers of a response. */
export interface ResponseHead {
  readonly status: number;
  /** Header values by lower-case name, in the order received, decoded as Latin-1. */
  readonly headers: Readonly<Partial<Record<string, readonly string[]>>>;
}

/** Returns the non-empty members of a comma-separated header, in lower case. */
export function headerList({ headers }: ResponseHead, name: string): string[] {
  const values = (headers[name] ?? []).flatMap((value) => value.split(','));
  return values.map((value) => value.trim().toLowerCase()).filter((value) => value !== '');
}

/**
 * Sends a GET request on a new connection. The connection is never reused, because its address was only checked for
 * this URL.
 * @throws {AppError} `address_not_allowed`, `source_refused`, `source_unavailable`; the abort reason of `signal`.
 */
export async function sendRequest(
  href: string,
  options: ExchangeOptions,
  signal: AbortSignal,
): Promise<SourceResponse> {
  signal.throwIfAborted();
  const url = new URL(href);
  const { socket, isInAllowedNetwork } = await openConnection(url, { ...options, signal });
  const socketClosed = whenClosed(socket);
  const stop = () => void socket.destroy(abortReason(signal));
  signal.addEventListener('abort', stop, { once: true });
  const close = () => {
    signal.removeEventListener('abort', stop);
    socket.destroy();
    return socketClosed;
  };
  try {
    const response = await receiveHead(socket, url, options);
    const head = { status: response.statusCode ?? 0, headers: response.headersDistinct };
    const readBody = (maxBytes: number) => {
      if (declaredLength(response) > maxBytes) throw bodyTooLarge(maxBytes);
      return streamBody(response, options.idleMs);
    };
    return { head, readBody, close };
  } catch (error) {
    await close();
    throw signal.aborted ? abortReason(signal) : toHeadError(error, { ...options, isInAllowedNetwork });
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
 * Sends the request and waits for the response head. The `accept` header allows any type, because some servers reject
 * `image/*`, and others convert the file to a format that the header lists. Compression is declined, so that the number
 * of received bytes is the file size.
 */
async function receiveHead(
  socket: Socket,
  url: URL,
  { userAgent, headersMs }: ExchangeOptions,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const clientRequest = request({
    createConnection: () => socket,
    path: url.pathname + url.search,
    headers: { host: url.host, 'user-agent': userAgent, accept: '*/*', 'accept-encoding': 'identity' },
    maxHeaderSize: maxHeadBytes,
    // Many servers violate the HTTP specification. Lenient parsing is safe, because each connection has only one
    // response.
    insecureHTTPParser: true,
  });
  // There is no limit on the number of headers, because their total size is limited.
  clientRequest.maxHeadersCount = 0;
  clientRequest.once('response', (response) => {
    // Bytes after a complete body cause an error on the request. That error is ignored.
    clientRequest.on('error', (error) => response.complete || response.destroy(error));
    // This listener handles an error that occurs before `streamBody` is called. `streamBody` then reports
    // `response.errored`.
    response.on('error', () => {});
    resolve(response);
  });
  // Status 101 accepts an upgrade that was not requested. `assertSuccess` rejects this status.
  clientRequest.once('upgrade', resolve).on('error', reject);
  const timer = setTimeout(() => reject(new HeadTimeout()), headersMs);
  clientRequest.end();
  return promise.finally(() => clearTimeout(timer));
}

/**
 * Streams a response body and converts its errors. Closing the stream closes the connection.
 * @param idleMs maximum time without data while the reader waits, in milliseconds
 */
function streamBody(response: IncomingMessage, idleMs: number): Readable {
  const { socket } = response;
  const declaredBytes = response.headers['transfer-encoding']
    ? undefined
    : response.headers['content-length'];
  let receivedBytes = 0;
  const body = new Readable({
    read: () => void response.resume(),
    destroy(error, done) {
      response.destroy();
      socket.destroy();
      done(error);
    },
  });
  response.on('data', (chunk: Buffer) => {
    receivedBytes += chunk.length;
    if (!body.push(chunk)) response.pause();
  });
  response.once('end', () => void body.push(null));
  // Node reports every early end of a response as ECONNRESET. Only the socket shows whether the connection was actually
  // reset.
  const fail = (error: Error) => {
    const isEarlyEnd = errorCode(error) === 'ECONNRESET' && !socket.errored;
    body.destroy(isEarlyEnd ? truncatedBody(receivedBytes, declaredBytes) : toBodyError(error));
  };
  if (response.errored) fail(response.errored);
  else response.once('error', fail);
  socket.setTimeout(idleMs, () => {
    if (response.isPaused()) socket.setTimeout(idleMs);
    else body.destroy(idleTimeout(idleMs));
  });
  // Without this listener, an error that occurs before the reader listens would end the process. The reader still
  // receives the error.
  body.on('error', () => {});
  return body;
}
