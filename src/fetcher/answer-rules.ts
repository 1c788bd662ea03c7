import { AppError } from '../errors.ts';
import type { Answer } from './exchange.ts';
import { tooLarge } from './source-errors.ts';

/** Refusals of the moment among the 4xx: timeout, too early, too many requests. */
const passing = new Set([408, 425, 429]);

/**
 * Judges the head of an answer before anything of its body is read.
 * @throws {AppError} `source_refused`, `source_unavailable`, `body_too_large`.
 */
export function assertUsable(
  { status, headers }: Pick<Answer, 'status' | 'headers'>,
  maxBytes: number,
): void {
  if (status !== 200) throw statusError(status);
  assertIdentity(headers['content-encoding']);
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
}

function statusError(status: number): AppError {
  const code = status >= 500 || passing.has(status) ? 'source_unavailable' : 'source_refused';
  return new AppError(code, `The server answered ${status} instead of a picture.`);
}

/** Decoding is not ours to do: a few bytes may unfold without end. */
function assertIdentity(encoding: string | string[] | undefined): void {
  const names = [encoding ?? []].flat().join(',').trim().toLowerCase();
  if (names === '' || names === 'identity') return;
  throw new AppError('source_refused', 'The server sent the file compressed, though it was asked not to.');
}
