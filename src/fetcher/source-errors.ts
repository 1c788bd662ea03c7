import { errors } from 'undici';
import { AppError } from '../errors.ts';

/** Deadlines whose end is told, in milliseconds. */
export interface Deadlines {
  /** From the request to the whole head of the answer. */
  readonly headersMs: number;
  /** Longest pause in the body. */
  readonly idleMs: number;
}

/** An error before the head of an answer was there. */
export function namedHeadError(error: unknown, { headersMs }: Deadlines): AppError {
  if (error instanceof AppError) return error;
  if (isTimeout(error)) {
    return unavailable(`The server did not begin its answer within ${seconds(headersMs)}.`, error);
  }
  if (isCertificateError(error)) {
    return new AppError('source_refused', 'The certificate of the server is not valid.', { cause: error });
  }
  // A closed port, a filtered one and one with another protocol read alike: an import is no port scanner.
  return unavailable('The server did not answer.', error);
}

/** An error in the middle of a body. */
export function namedBodyError(error: unknown, { idleMs }: Deadlines): AppError {
  if (error instanceof AppError) return error;
  if (isTimeout(error)) return unavailable(`The server sent nothing for ${seconds(idleMs)}.`, error);
  return unavailable('The server ended the file too early.', error);
}

/** The reason of a signal, as an error that a stream can carry. */
export function reasonOf(signal: AbortSignal): Error {
  const { reason } = signal as { readonly reason: unknown };
  return reason instanceof Error ? reason : unavailable('The download was stopped.', reason);
}

/** The end of a whole download, however steadily it flows. */
export function totalPassed(totalMs: number): AppError {
  return unavailable(`The download took longer than ${seconds(totalMs)}.`);
}

const mebibyte = 1024 * 1024;

/** @param maxBytes the limit that was passed */
export function tooLarge(maxBytes: number): AppError {
  const inMiB = Number((maxBytes / mebibyte).toFixed(2));
  return new AppError(
    'body_too_large',
    `The file at the URL is larger than ${inMiB} MiB (${maxBytes} bytes).`,
  );
}

function unavailable(sentence: string, cause?: unknown): AppError {
  return new AppError('source_unavailable', sentence, { cause });
}

function isTimeout(error: unknown): boolean {
  return error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError;
}

/** OpenSSL's names of what can be wrong with a certificate. */
const certificateErrors =
  /^(ERR_TLS_CERT_|CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)|HOSTNAME_MISMATCH)/;

function isCertificateError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && certificateErrors.test(String(error.code));
}

const seconds = (ms: number) => `${ms / 1000} s`;
