import type { Readable } from 'node:stream';
import { AppError } from '../errors.ts';
import type { AllowedNetwork } from '../model/import.ts';
import { startDownload } from './download.ts';
import { makeHostResolver } from './resolve-host.ts';
import { filenameOf } from './import-url.ts';

/** A download in progress. */
export interface FetchedPicture {
  /**
   * The bytes of the file, decompressed if the server compressed them. Errors are `AppError`s, or the abort reason of
   * the signal.
   */
  readonly body: Readable;
  /** Last part of the final URL's path; `undefined` if empty. */
  readonly filename: string | undefined;
  /** The URL after all redirects. */
  readonly finalUrl: string;
}

/**
 * Starts the download of `href` and returns once the head of the response has been accepted. The caller must read or
 * destroy the body.
 * @throws {AppError} `invalid_url`, `address_not_allowed`, `source_refused`, `source_unavailable`, `body_too_large`;
 *   the reason of `signal` if it is aborted.
 */
export type FetchPicture = (href: string, signal: AbortSignal) => Promise<FetchedPicture>;

/** The downloader. */
export interface Fetcher {
  readonly fetch: FetchPicture;
  /** Aborts all downloads and waits until their connections are closed. */
  close(): Promise<void>;
}

/** Limits of the downloader; times are in milliseconds. */
export interface FetcherOptions {
  readonly allowedNetworks: readonly AllowedNetwork[];
  /** Largest file, in bytes. */
  readonly maxBytes: number;
  /** Maximum number of redirects. */
  readonly maxRedirects: number;
  /** To connect, handshake included. */
  readonly connectMs: number;
  /** From the request to the complete head of the response. */
  readonly headersMs: number;
  /** Longest pause in the body. */
  readonly idleMs: number;
  /** For a whole download, from the DNS query to the last byte. */
  readonly totalMs: number;
  readonly userAgent: string;
  /** Name servers, e.g. `127.0.0.1:53`; by default those of this machine. */
  readonly dnsServers?: readonly string[] | undefined;
}

/** Creates a downloader that connects to public addresses and to `allowedNetworks` only. */
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
