import { AppError } from '../errors.ts';
import { listOf, type ResponseHead } from './exchange.ts';

/** Refusals of the moment among the 4xx: timeout, too early, too many requests. */
const passing = new Set([408, 425, 429]);

/**
 * Judges the head of an answer before anything of its body is read.
 * @throws {AppError} `source_refused`, `source_unavailable`.
 */
export function assertPicture({ status }: ResponseHead): void {
  // 203 is a 200 that a proxy has modified.
  if (status === 200 || status === 203) return;
  const code = status >= 500 || passing.has(status) ? 'source_unavailable' : 'source_refused';
  throw new AppError(code, `The server answered ${status} instead of a picture.`);
}

/** The content codings of the body, by the names in the response, without those that change nothing. */
export function codingsOf(head: ResponseHead): string[] {
  const named = [...listOf(head, 'content-encoding'), ...listOf(head, 'transfer-encoding')];
  return named.filter((name) => name !== 'identity' && name !== 'chunked');
}
