import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { AddressRules } from './address-rules.ts';
import { openConnection } from './open-connection.ts';
import type { ResolveHost } from './resolve-host.ts';
import {
  codeOf,
  cutBody,
  type Deadlines,
  HeadTimeout,
  idlePassed,
  maxHeadBytes,
  namedBodyError,
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

/** The head of a response, with its body still to come. */
export interface Answer {
  readonly head: ResponseHead;
  /**
   * Starts reading the body.
   * @throws {AppError} `body_too_large` when it is announced with more than `maxBytes`.
   */
  readonly body: (maxBytes: number) => Readable;
  /** Closes the connection; must be called in every case. */
  readonly end: () => Promise<void>;
}

/** The status and the fields of a response. */
export interface ResponseHead {
  readonly status: number;
  /** Values by lower-case name, in the order in which they came. Bytes beyond ASCII are characters of latin1. */
  readonly fields: Readonly<Partial<Record<string, readonly string[]>>>;
}

/** The members of a field that is a list, lower-case, without empty ones. */
export function listOf({ fields }: ResponseHead, name: string): string[] {
  const values = (fields[name] ?? []).flatMap((value) => value.split(','));
  return values.map((value) => value.trim().toLowerCase()).filter((value) => value !== '');
}

/**
 * One GET on its own connection, which carries nothing else: it was checked for this URL.
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
    const response = await headFrom(socket, url, options);
    const head = { status: response.statusCode ?? 0, fields: response.headersDistinct };
    const body = (maxBytes: number) => {
      if (announcedBytes(response) > maxBytes) throw tooLarge(maxBytes);
      return readBody(response, options.idleMs);
    };
    return { head, body, end };
  } catch (error) {
    await end();
    throw signal.aborted ? reasonOf(signal) : namedHeadError(error, { ...options, isExempt });
  }
}

function announcedBytes({ headers }: IncomingMessage): number {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : 0;
}

function whenClosed(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/**
 * Sends the request and waits for the head of the response. Any type is accepted: some servers refuse `image/*`, others
 * send newer formats to clients that name them, and an import needs the file as stored. `identity`, so that the bytes
 * counted are the bytes stored.
 */
async function headFrom(
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
  // All of them count towards the limit in bytes.
  sent.maxHeadersCount = 0;
  sent.once('response', (response) => {
    // Bytes after a complete body raise an error on the request only.
    sent.on('error', (error) => response.complete || response.destroy(error));
    // Without a listener, Node discards an error that arrives together with the head.
    response.on('error', () => {});
    resolve(response);
  });
  // 101 answers an upgrade that was not requested; its status is refused later.
  sent.once('upgrade', resolve).on('error', reject);
  const timer = setTimeout(() => reject(new HeadTimeout()), headersMs);
  sent.end();
  return promise.finally(() => clearTimeout(timer));
}

/**
 * The body of a response; closing it closes the connection. Its errors are mapped to named ones.
 * @param idleMs longest pause of the server; time that the reader takes does not count
 */
function readBody(response: IncomingMessage, idleMs: number): Readable {
  const { socket } = response;
  const announced = response.headers['transfer-encoding'] ? undefined : response.headers['content-length'];
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
  // Node reports every early end as a reset; only the socket shows whether the connection broke.
  const fail = (error: Error) => {
    const isEarlyEnd = codeOf(error) === 'ECONNRESET' && !socket.errored;
    body.destroy(isEarlyEnd ? cutBody(received, announced) : namedBodyError(error));
  };
  if (response.errored) fail(response.errored);
  else response.once('error', fail);
  socket.setTimeout(idleMs, () => {
    if (response.isPaused()) socket.setTimeout(idleMs);
    else body.destroy(idlePassed(idleMs));
  });
  // An error may occur before the reader listens; the stream keeps it.
  body.on('error', () => {});
  return body;
}
