import type { Readable } from 'node:stream';
import { assertUsable } from './answer-rules.ts';
import type { ExchangeOptions } from './exchange.ts';
import { parseImportUrl } from './import-url.ts';
import { limitBody } from './limited-body.ts';
import { askAndFollow } from './redirects.ts';
import { reasonOf, totalPassed } from './source-errors.ts';

/** What all downloads share. */
export interface DownloadOptions extends ExchangeOptions {
  /** Largest file, in bytes. */
  readonly maxBytes: number;
  /** For a whole download, in milliseconds. */
  readonly totalMs: number;
}

interface Download {
  readonly body: Readable;
  readonly finalUrl: string;
}

/** One download under its total deadline; any of `outer` ends it too. */
export async function startDownload(
  href: string,
  options: DownloadOptions,
  outer: readonly AbortSignal[],
): Promise<Download> {
  const total = new AbortController();
  const timer = setTimeout(() => total.abort(totalPassed(options.totalMs)), options.totalMs);
  try {
    const download = await openDownload(href, options, AbortSignal.any([...outer, total.signal]));
    download.body.once('close', () => clearTimeout(timer));
    return download;
  } catch (error) {
    clearTimeout(timer);
    throw error;
  }
}

async function openDownload(href: string, options: DownloadOptions, signal: AbortSignal): Promise<Download> {
  const { url, answer } = await askAndFollow(parseImportUrl(href, options.rules), options, signal);
  try {
    assertUsable(answer, options.maxBytes);
    // An end that came with the head has nobody listening yet.
    if (signal.aborted) throw reasonOf(signal);
    return { body: limitBody(answer, options, signal), finalUrl: url.href };
  } catch (error) {
    await answer.end();
    throw error;
  }
}
