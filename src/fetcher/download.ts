import type { Readable } from 'node:stream';
import { assertPicture, codingsOf } from './answer-rules.ts';
import type { Answer, ExchangeOptions } from './exchange.ts';
import { parseImportUrl } from './import-url.ts';
import { limitBody } from './limited-body.ts';
import { askAndFollow } from './redirects.ts';
import { reasonOf, totalPassed } from './source-errors.ts';
import { unpackBody } from './unpack-body.ts';

/** What all downloads share. */
export interface DownloadOptions extends ExchangeOptions {
  /** Largest file, in bytes. */
  readonly maxBytes: number;
  readonly maxRedirects: number;
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
    const body = await openBody(answer, { maxBytes: options.maxBytes, signal });
    // A stream that ended together with the head has no listener yet.
    if (signal.aborted) throw reasonOf(signal);
    body.once('close', () => void answer.end());
    return { body, finalUrl: url.href };
  } catch (error) {
    await answer.end();
    throw error;
  }
}

/** Limits both the received and the decompressed size: a few bytes may expand without end, and many to nothing. */
async function openBody(answer: Answer, limits: Parameters<typeof limitBody>[1]): Promise<Readable> {
  assertPicture(answer.head);
  const codings = codingsOf(answer.head);
  const body = limitBody(answer.body(limits.maxBytes), limits);
  return codings.length === 0 ? body : limitBody(await unpackBody(body, codings), limits);
}
