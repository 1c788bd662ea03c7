import { type Readable, Transform } from 'node:stream';
import { AppError } from '../errors.ts';
import { type Answer, type ExchangeOptions, listOf, type ResponseHead } from './exchange.ts';
import { parseImportUrl } from './import-url.ts';
import { askAndFollow } from './redirects.ts';
import { reasonOf, tooLarge, totalPassed } from './source-errors.ts';
import { unpackBody } from './unpack-body.ts';

/** What all downloads share. */
interface DownloadOptions extends ExchangeOptions {
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

/** Refusals of the moment among the 4xx: timeout, too early, too many requests. */
const passing = new Set([408, 425, 429]);

/**
 * Judges the head of an answer before anything of its body is read.
 * @throws {AppError} `source_refused`, `source_unavailable`.
 */
function assertPicture({ status }: ResponseHead): void {
  // 203 is a 200 that a proxy has modified.
  if (status === 200 || status === 203) return;
  const code = status >= 500 || passing.has(status) ? 'source_unavailable' : 'source_refused';
  throw new AppError(code, `The server answered ${status} instead of a picture.`);
}

/** The content codings of the body, by the names in the response, without those that change nothing. */
function codingsOf(head: ResponseHead): string[] {
  const named = [...listOf(head, 'content-encoding'), ...listOf(head, 'transfer-encoding')];
  return named.filter((name) => name !== 'identity' && name !== 'chunked');
}

interface Limits {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * `body` up to a limit. When it is closed, by its end, an error, the signal or its reader, so is `body`.
 * @returns a stream whose errors are those of `body`, `body_too_large` or the reason of the signal
 */
function limitBody(body: Readable, { maxBytes, signal }: Limits): Readable {
  const limited = countingStream(maxBytes);
  const stop = () => limited.destroy(reasonOf(signal));
  signal.addEventListener('abort', stop, { once: true });
  body.once('error', (error) => limited.destroy(error));
  limited.once('close', () => {
    signal.removeEventListener('abort', stop);
    body.destroy();
  });
  // An error may come before the reader listens; the stream keeps it for him.
  limited.on('error', () => {});
  return body.pipe(limited);
}

function countingStream(maxBytes: number): Transform {
  let received = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length;
      if (received > maxBytes) done(tooLarge(maxBytes));
      else done(null, chunk);
    },
  });
}
