import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Dicer } from '@fastify/busboy';
import { AppError } from '../../errors.ts';
import { parseHeaderParameters } from '../text/header-parameters.ts';
import { type PartHead, type PartHeaders, readPartHead } from './part-head.ts';

/** Limits for a whole form. */
export interface FormLimits {
  readonly parts: number;
  /** Maximum size of the body, including boundaries and any bytes before the first or after the last part. */
  readonly bodyBytes: number;
  /** Maximum time without data. */
  readonly idleMs: number;
}

/** Header limits for each part. The parser drops excess headers, so the part may end up without a field name. */
const headerLimits = { maxHeaderPairs: 100, maxHeaderSize: 16 * 1024 };

/** Controls the reading of a form. */
export interface PartReader {
  /** Resolves once the whole body has been received and every part has been processed. @throws {AppError} */
  readonly ended: Promise<void>;
  /** Stops reading and destroys the current part with `reason`. */
  abandon(reason: unknown): void;
}

/**
 * Reads a `multipart/form-data` body part by part. Calls `onPart` for each part that has a field name. `onPart` must
 * read the part to its end; if `onPart` throws, the whole form fails. The size limit also applies to bodies without a
 * declared length.
 */
export function readParts(
  request: IncomingMessage,
  limits: FormLimits,
  onPart: (head: PartHead, body: Readable) => Promise<void>,
): PartReader {
  const parser = makeParser(request);
  const { promise: failure, reject: fail } = Promise.withResolvers<never>();
  const { promise: parsing, resolve: finishParsing } = Promise.withResolvers<void>();
  const pendingParts: Promise<void>[] = [];
  let partCount = 0;
  let currentPart: Readable | undefined;

  parser.on('part', (part: Readable) => {
    // A truncated part also emits an error, possibly before the part is read. An unhandled error would end the process.
    part.on('error', () => fail(truncatedFormError()));
    part.once('header', (headers: PartHeaders) => {
      partCount += 1;
      currentPart = part;
      pendingParts.push(handlePart(headers, part).catch(fail));
    });
  });
  parser.once('finish', finishParsing);
  parser.on('error', () => fail(truncatedFormError()));

  async function handlePart(headers: PartHeaders, part: Readable): Promise<void> {
    const head = readPartHead(headers);
    if (partCount > limits.parts) throw tooManyPartsError(limits.parts);
    if (head) await onPart(head, part);
    else part.resume();
  }

  const stopReading = pump(request, parser, limits, fail);
  const completion = Promise.all([parsing, waitForEnd(request)]).then(() => Promise.all(pendingParts));
  const ended = Promise.race([failure, completion]).then(() => undefined);
  ended.catch(() => undefined);
  return {
    ended,
    abandon(reason) {
      stopReading();
      currentPart?.destroy(reason instanceof Error ? reason : undefined);
    },
  };
}

function makeParser(request: IncomingMessage): Dicer {
  const { value, parameters } = parseHeaderParameters(request.headers['content-type'] ?? '');
  const boundary = parameters.get('boundary');
  if (value === 'multipart/form-data' && boundary) {
    try {
      return new Dicer({ boundary, ...headerLimits });
    } catch {
      // The boundary is longer than the parser allows.
    }
  }
  throw new AppError(
    'unsupported_body',
    'The body must be multipart/form-data with a boundary and a field "file".',
  );
}

function waitForEnd(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => request.once('end', resolve));
}

/**
 * Writes the body to the parser. Calls `fail` if the request is aborted, stalls or is too large. Returns a function
 * that stops reading. `pipe` is not used, because it would stop at the closing boundary without counting the bytes that
 * follow.
 */
function pump(
  request: IncomingMessage,
  parser: Dicer,
  { bodyBytes, idleMs }: FormLimits,
  fail: (error: AppError) => void,
): () => void {
  let receivedBytes = 0;
  let isFinished = false;
  const idleTimer = setTimeout(
    () => fail(new AppError('request_timeout', `No data arrived for ${idleMs / 1000} s.`)),
    idleMs,
  );
  const writeChunk = (chunk: Buffer) => {
    idleTimer.refresh();
    receivedBytes += chunk.length;
    if (receivedBytes > bodyBytes) fail(bodyTooLargeError(bodyBytes));
    else if (!isFinished && !parser.write(chunk)) {
      request.pause();
      parser.once('drain', () => request.resume());
    }
  };
  parser.once('finish', () => {
    isFinished = true;
    // If the parser's last write both filled the part's buffer and ended the part, the parser never emits `drain`.
    request.resume();
  });
  request.on('data', writeChunk);
  request.once('end', () => {
    if (!isFinished) parser.end();
  });
  request.once('error', () => fail(connectionLostError()));
  request.once('close', () => {
    clearTimeout(idleTimer);
    if (!request.complete) fail(connectionLostError());
  });
  return () => {
    request.off('data', writeChunk);
  };
}

/** Returns the error for an aborted request. The error appears only in the log. */
export function connectionLostError(): AppError {
  return new AppError('body_cut_short', 'The connection was closed before the body was complete.');
}

function truncatedFormError(): AppError {
  return new AppError('body_cut_short', 'The form is truncated: its closing boundary is missing.');
}

function tooManyPartsError(maximum: number): AppError {
  return new AppError('invalid_request', `The form has more than ${maximum} parts.`);
}

function bodyTooLargeError(maximum: number): AppError {
  return new AppError(
    'body_too_large',
    `The form is larger than ${maximum} bytes, including boundaries and fields.`,
  );
}
