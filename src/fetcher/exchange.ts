import type { Readable } from 'node:stream';
import { Client, type Dispatcher } from 'undici';
import type { AddressRules } from './address-rules.ts';
import { makeGuardedConnector } from './guarded-connector.ts';
import type { ResolveHost } from './resolve-host.ts';
import { type Deadlines, namedHeadError, reasonOf } from './source-errors.ts';

/** What all requests of a downloader share. */
export interface ExchangeOptions extends Deadlines {
  readonly rules: AddressRules;
  readonly resolveHost: ResolveHost;
  /** Longest time for a connection with its handshake, in milliseconds. */
  readonly connectMs: number;
  readonly userAgent: string;
}

/** The head of an answer, with its body still to come. */
export interface Answer {
  readonly status: number;
  /** Names in small letters. */
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly body: Readable;
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
  const client = makeClient(url.origin, options, signal);
  const destroy = () => void client.destroy();
  signal.addEventListener('abort', destroy, { once: true });
  const end = () => {
    signal.removeEventListener('abort', destroy);
    return client.destroyed ? Promise.resolve() : client.destroy();
  };
  try {
    const { statusCode: status, headers, body } = await client.request(getRequest(url, options.userAgent));
    return { status, headers, body, end };
  } catch (error) {
    await end();
    throw signal.aborted ? reasonOf(signal) : namedHeadError(error, options);
  }
}

/** A client, and never the global dispatcher: that one may have been told to use a proxy. */
function makeClient(origin: string, options: ExchangeOptions, signal: AbortSignal): Client {
  return new Client(origin, {
    connect: makeGuardedConnector({ ...options, signal }),
    headersTimeout: options.headersMs,
    bodyTimeout: options.idleMs,
  });
}

function getRequest({ pathname, search }: URL, userAgent: string): Dispatcher.RequestOptions {
  return {
    method: 'GET',
    path: pathname + search,
    reset: true,
    // Identity, so that the bytes that are counted are the bytes that are stored.
    headers: { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': userAgent },
  };
}
