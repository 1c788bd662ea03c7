import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../src/errors.ts';
import { type Fetcher, type FetcherOptions, makeFetcher } from '../../../src/fetcher/fetch-picture.ts';
import { makeRules } from './allowed-networks.ts';

/** Creates a fetcher that may connect to 127.0.0.1. It can resolve names only if `dnsServers` is given. */
export function makeTestFetcher(options: Partial<FetcherOptions> = {}): Fetcher {
  return makeFetcher({
    ...makeRules('127.0.0.1/32'),
    maxRedirects: 3,
    maxBytes: 10 * 1024 * 1024,
    connectMs: 900,
    headersMs: 5_000,
    idleMs: 5_000,
    totalMs: 10_000,
    userAgent: 'Vitrine test',
    // Nothing listens on port 1, so no real DNS server is queried.
    dnsServers: ['127.0.0.1:1'],
    ...options,
  });
}

/** Downloads `url` completely. */
export async function download(fetcher: Fetcher, url: string, signal = new AbortController().signal) {
  const picture = await fetcher.fetch(url, signal);
  const chunks: Buffer[] = [];
  for await (const chunk of picture.body) chunks.push(chunk as Buffer);
  return { ...picture, bytes: Buffer.concat(chunks) };
}

/** Downloads `url` and returns the error. Throws if the download succeeds. */
export async function catchDownloadError(
  fetcher: Fetcher,
  url: string,
): Promise<Pick<AppError, 'code' | 'message'>> {
  try {
    await download(fetcher, url);
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('The download succeeded.');
}

/** Waits until a server has no open connections. Throws if connections are still open after two seconds. */
export async function waitUntilAllClosed(server: { countOpenConnections(): Promise<number> }): Promise<void> {
  const startedAt = performance.now();
  while ((await server.countOpenConnections()) > 0) {
    if (performance.now() - startedAt > 2_000) throw new Error('Connections are still open.');
    await sleep(10);
  }
}
