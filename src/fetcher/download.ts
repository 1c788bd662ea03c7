import { type Readable, Transform } from 'node:stream';
import { AppError } from '../errors.ts';
import { type ExchangeOptions, headerList, type ResponseHead, type SourceResponse } from './exchange.ts';
import { parseImportUrl } from './import-url.ts';
import { requestWithRedirects } from './redirects.ts';
import { abortReason, bodyTooLarge, totalTimeout } from './source-errors.ts';
import { decompressBody } from './decompress-body.ts';

/** Options shared by all downloads. */
interface DownloadOptions extends ExchangeOptions {
  /** Maximum file size, in bytes. */
  readonly maxBytes: number;
  readonly maxRedirects: number;
  /** Deadline for a whole download, in milliseconds. */
  readonly totalMs: number;
}

interface Download {
  readonly body: Readable;
  readonly finalUrl: string;
}

/** Starts a download. It is aborted when its deadline passes or any of `signals` is aborted. */
export async function startDownload(
  href: string,
  options: DownloadOptions,
  signals: readonly AbortSignal[],
): Promise<Download> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(totalTimeout(options.totalMs)), options.totalMs);
  try {
    const download = await openDownload(href, options, AbortSignal.any([...signals, deadline.signal]));
    download.body.once('close', () => clearTimeout(timer));
    return download;
  } catch (error) {
    clearTimeout(timer);
    throw error;
  }
}

async function openDownload(href: string, options: DownloadOptions, signal: AbortSignal): Promise<Download> {
  const { url, response } = await requestWithRedirects(parseImportUrl(href, options.rules), options, signal);
  try {
    const body = await openBody(response, { maxBytes: options.maxBytes, signal });
    // If the signal was aborted before this point, the body may already be closed and never emit `close` again.
    if (signal.aborted) throw abortReason(signal);
    body.once('close', () => void response.close());
    return { body, finalUrl: url.href };
  } catch (error) {
    await response.close();
    throw error;
  }
}

/**
 * Limits both the received and the decompressed size. A small body may decompress to a huge file, and a huge body may
 * decompress to almost nothing.
 */
async function openBody(response: SourceResponse, limits: BodyLimits): Promise<Readable> {
  assertSuccess(response.head);
  const codings = contentCodings(response.head);
  const body = limitBody(response.readBody(limits.maxBytes), limits);
  return codings.length === 0 ? body : limitBody(await decompressBody(body, codings), limits);
}

/** The 4xx statuses after which a retry may succeed: Request Timeout, Too Early and Too Many Requests. */
const temporaryStatuses = new Set([408, 425, 429]);

/**
 * Checks the status before the body is read.
 * @throws {AppError} `source_refused`, `source_unavailable`.
 */
function assertSuccess({ status }: ResponseHead): void {
  // A proxy that has modified a 200 response may return 203 instead.
  if (status === 200 || status === 203) return;
  const code = status >= 500 || temporaryStatuses.has(status) ? 'source_unavailable' : 'source_refused';
  throw new AppError(code, `The server returned status ${status} instead of an image.`);
}

/** Returns the declared codings, except those that do not change the bytes. */
function contentCodings(head: ResponseHead): string[] {
  const names = [...headerList(head, 'content-encoding'), ...headerList(head, 'transfer-encoding')];
  return names.filter((name) => name !== 'identity' && name !== 'chunked');
}

interface BodyLimits {
  /** Maximum size of the body, in bytes. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Limits the size of `body`, which is destroyed as soon as the returned stream closes.
 * @returns a stream that fails with the error of `body`, with `body_too_large` or with the abort reason
 */
function limitBody(body: Readable, { maxBytes, signal }: BodyLimits): Readable {
  const limitedBody = makeByteLimiter(maxBytes);
  const stop = () => limitedBody.destroy(abortReason(signal));
  signal.addEventListener('abort', stop, { once: true });
  body.once('error', (error) => limitedBody.destroy(error));
  limitedBody.once('close', () => {
    signal.removeEventListener('abort', stop);
    body.destroy();
  });
  // Without this listener, an error that occurs before the reader listens would end the process. The reader still
  // receives the error.
  limitedBody.on('error', () => {});
  return body.pipe(limitedBody);
}

function makeByteLimiter(maxBytes: number): Transform {
  let receivedBytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      receivedBytes += chunk.length;
      if (receivedBytes > maxBytes) done(bodyTooLarge(maxBytes));
      else done(null, chunk);
    },
  });
}
