import type { Readable } from 'node:stream';
import { AppError } from '../errors.ts';
import type { AllowedNetwork } from '../model/import.ts';
import { startDownload } from './download.ts';
import { makeHostResolver } from './resolve-host.ts';
import { filenameOf } from './import-url.ts';

/** A download in progress. */
export interface FetchedPicture {
  /**
   * The file's bytes, decompressed if the server compressed them. The stream fails with an `AppError` or the signal's
   * abort reason.
   */
  readonly body: Readable;
  /** Last segment of the final URL's path; `undefined` if empty. */
  readonly filename: string | undefined;
  /** The URL after all redirects. */
  readonly finalUrl: string;
}

/**
 * Starts downloading `href` and returns once the response head has been accepted. The caller must read or destroy the
 * body.
 * @throws {AppError} `invalid_url`, `address_not_allowed`, `source_refused`, `source_unavailable`, `body_too_large`;
 *   the abort reason of `signal`.
 */
export type FetchPicture = (href: string, signal: AbortSignal) => Promise<FetchedPicture>;

/** Downloads pictures. */
export interface Fetcher {
  readonly fetch: FetchPicture;
  /** Aborts all downloads and waits until their connections are closed. */
  close(): Promise<void>;
}

/** Options of a fetcher. Times are in milliseconds. */
export interface FetcherOptions {
  readonly allowedNetworks: readonly AllowedNetwork[];
  /** Maximum file size, in bytes. */
  readonly maxBytes: number;
  /** Maximum number of redirects. */
  readonly maxRedirects: number;
  /** Deadline for connecting, including the TLS handshake. */
  readonly connectMs: number;
  /** Deadline for the response head, measured from the time the request is sent. */
  readonly headersMs: number;
  /** Maximum time without data while the body is received. */
  readonly idleMs: number;
  /** Deadline for a whole download, from the DNS query to the last byte. */
  readonly totalMs: number;
  readonly userAgent: string;
  /** Name servers, e.g. `127.0.0.1:53`. Default: those configured on this machine. */
  readonly dnsServers?: readonly string[] | undefined;
}

/** Creates a fetcher that only connects to public addresses and to `allowedNetworks`. */
export function makeFetcher({ allowedNetworks, dnsServers, ...otherOptions }: FetcherOptions): Fetcher {
  const options = { ...otherOptions, rules: { allowedNetworks }, resolveHost: makeHostResolver(dnsServers) };
  const shutdown = new AbortController();
  const downloads = new Set<Promise<void>>();

  async function fetch(href: string, signal: AbortSignal): Promise<FetchedPicture> {
    const completion = Promise.withResolvers<void>();
    downloads.add(completion.promise);
    void completion.promise.then(() => downloads.delete(completion.promise));
    try {
      const { body, finalUrl } = await startDownload(href, options, [signal, shutdown.signal]);
      body.once('close', completion.resolve);
      return { body, finalUrl, filename: filenameOf(finalUrl) };
    } catch (error) {
      completion.resolve();
      throw error;
    }
  }

  async function close(): Promise<void> {
    shutdown.abort(new AppError('unavailable', 'The downloader is shutting down.'));
    await Promise.all(downloads);
  }

  return { fetch, close };
}
