import type { Readable } from 'node:stream';
import { AppError } from '../errors.ts';
import type { AllowedNetwork } from '../model/import.ts';
import { startDownload } from './download.ts';
import { makeHostResolver } from './resolve-host.ts';
import { filenameOf } from './url-filename.ts';

/** A download that has begun. */
export interface FetchedPicture {
  /**
   * The bytes of the file, decompressed if the server compressed them. Errors are `AppError`s, or the abort reason of
   * the signal.
   */
  readonly body: Readable;
  /** Last part of the final URL's path; `undefined` when that is empty. */
  readonly filename: string | undefined;
  /** Where redirects ended. */
  readonly finalUrl: string;
}

/**
 * Begins the download of `href`. Answers when the head of the answer is judged; the body must be read or destroyed.
 * @throws {AppError} `invalid_url`, `address_not_allowed`, `source_refused`, `source_unavailable`, `body_too_large`;
 *   the reason of `signal` when that ends it.
 */
export type FetchPicture = (href: string, signal: AbortSignal) => Promise<FetchedPicture>;

/** The downloader. */
export interface Fetcher {
  readonly fetch: FetchPicture;
  /** Ends all downloads, and answers when their connections are closed. */
  close(): Promise<void>;
}

/** Limits of the downloader; times are in milliseconds. */
export interface FetcherOptions {
  readonly allowedNetworks: readonly AllowedNetwork[];
  /** Largest file, in bytes. */
  readonly maxBytes: number;
  /** Redirects that are followed. */
  readonly maxRedirects: number;
  /** For a connection with its handshake. */
  readonly connectMs: number;
  /** From the request to the whole head of the answer. */
  readonly headersMs: number;
  /** Longest pause in the body. */
  readonly idleMs: number;
  /** For a whole download, from the name server to the last byte. */
  readonly totalMs: number;
  readonly userAgent: string;
  /** Name servers, such as `127.0.0.1:53`; by default those of this machine. */
  readonly dnsServers?: readonly string[] | undefined;
}

/** A downloader that reaches public addresses only, and what `allowedNetworks` adds. */
export function makeFetcher({ allowedNetworks, dnsServers, ...limits }: FetcherOptions): Fetcher {
  const options = { ...limits, rules: { allowedNetworks }, resolveHost: makeHostResolver(dnsServers) };
  const closing = new AbortController();
  const running = new Set<Promise<void>>();

  async function fetch(href: string, signal: AbortSignal): Promise<FetchedPicture> {
    const ended = Promise.withResolvers<void>();
    running.add(ended.promise);
    void ended.promise.then(() => running.delete(ended.promise));
    try {
      const { body, finalUrl } = await startDownload(href, options, [signal, closing.signal]);
      body.once('close', ended.resolve);
      return { body, finalUrl, filename: filenameOf(finalUrl) };
    } catch (error) {
      ended.resolve();
      throw error;
    }
  }

  async function close(): Promise<void> {
    closing.abort(new AppError('unavailable', 'The downloader is shutting down.'));
    await Promise.all(running);
  }

  return { fetch, close };
}
