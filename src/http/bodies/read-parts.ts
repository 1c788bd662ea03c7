import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Dicer } from '@fastify/busboy';
import { AppError } from '../../errors.ts';
import { parseHeaderParameters } from '../text/header-parameters.ts';
import { type PartHead, type PartHeaders, readPartHead } from './part-head.ts';

/** Limits of a form as a whole. */
export interface FormLimits {
  readonly parts: number;
  /** Bytes of the body: parts, boundaries, and bytes before the first and after the last part. */
  readonly bodyBytes: number;
  /** Longest pause between two packets. */
  readonly idleMs: number;
}

/** Headers of one part. Excess headers are cut, and the part then has no field name. */
const headerLimits = { maxHeaderPairs: 100, maxHeaderSize: 16 * 1024 };

/** A form that is being read. */
export interface PartReader {
  /** Resolves when the whole body has arrived and each part has been processed. @throws {AppError} */
  readonly ended: Promise<void>;
  /** Stops reading; the current part fails with `reason`. */
  abandon(reason: unknown): void;
}

/**
 * Reads a `multipart/form-data` body part by part. `take` gets each part that has a field name and reads its body to
 * the end; an error that it throws ends the form. Bodies without a declared length are counted, too.
 */
export function readParts(
  request: IncomingMessage,
  limits: FormLimits,
  take: (head: PartHead, body: Readable) => Promise<void>,
): PartReader {
  const parser = makeParser(request);
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const taken: Promise<void>[] = [];
  let parts = 0;
  let current: Readable | undefined;

  parser.on('part', (part: Readable) => {
    // A truncated part emits the error here too, perhaps before it has a reader; unhandled, it would crash the process.
    part.on('error', () => fail(cutShort()));
    part.once('header', (headers: PartHeaders) => {
      parts += 1;
      current = part;
      taken.push(takePart(headers, part).catch(fail));
    });
  });
  parser.once('finish', finish);
  parser.on('error', () => fail(cutShort()));

  async function takePart(headers: PartHeaders, part: Readable): Promise<void> {
    const head = readPartHead(headers);
    if (parts > limits.parts) throw tooManyParts(limits.parts);
    if (head) await take(head, part);
    else part.resume();
  }

  const stop = pump(request, parser, limits, fail);
  const read = Promise.all([finished, requestEnd(request)]).then(() => Promise.all(taken));
  const ended = Promise.race([failed, read]).then(() => undefined);
  ended.catch(() => undefined);
  return {
    ended,
    abandon(reason) {
      stop();
      current?.destroy(reason instanceof Error ? reason : undefined);
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
      // A boundary that exceeds the parser's limit.
    }
  }
  throw new AppError(
    'unsupported_body',
    'The body must be multipart/form-data with a boundary and a field "file".',
  );
}

function requestEnd(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => request.once('end', resolve));
}

/**
 * Writes the body to the parser, and ends the form if its request is cut, stalls or is too large. Not a pipe, which
 * would end at the closing boundary and leave the bytes after it uncounted. Returns a function that stops it.
 */
function pump(
  request: IncomingMessage,
  parser: Dicer,
  { bodyBytes, idleMs }: FormLimits,
  fail: (error: AppError) => void,
): () => void {
  let received = 0;
  let isOver = false;
  const idle = setTimeout(
    () => fail(new AppError('request_timeout', `No bytes came for ${idleMs / 1000} s.`)),
    idleMs,
  );
  const write = (chunk: Buffer) => {
    idle.refresh();
    received += chunk.length;
    if (received > bodyBytes) fail(bodyTooLarge(bodyBytes));
    else if (!isOver && !parser.write(chunk)) {
      request.pause();
      parser.once('drain', () => request.resume());
    }
  };
  parser.once('finish', () => {
    isOver = true;
  });
  request.on('data', write);
  request.once('end', () => {
    if (!isOver) parser.end();
  });
  request.once('error', () => fail(cutConnection()));
  request.once('close', () => {
    clearTimeout(idle);
    if (!request.complete) fail(cutConnection());
  });
  return () => {
    request.off('data', write);
  };
}

/** The connection is closed, so this only appears in the log. */
export function cutConnection(): AppError {
  return new AppError('body_cut_short', 'The connection ended before the body did.');
}

function cutShort(): AppError {
  return new AppError('body_cut_short', 'The form ended in the middle: its closing boundary is missing.');
}

function tooManyParts(maximum: number): AppError {
  return new AppError('invalid_request', `The form has more than ${maximum} parts.`);
}

function bodyTooLarge(maximum: number): AppError {
  return new AppError(
    'body_too_large',
    `The form has more than ${maximum} bytes, its parts and all around them.`,
  );
}
