import { AppError } from '../errors.ts';

/** Longest name of a reference, in characters. */
export const maxReferenceLength = 200;

/** @throws {AppError} `invalid_request` unless `name` may be a reference: 1 to 200 printable characters. */
export function assertReference(name: string): void {
  if (name.length >= 1 && name.length <= maxReferenceLength && !/\p{Cc}/u.test(name)) return;
  throw new AppError(
    'invalid_request',
    `A reference is 1 to ${maxReferenceLength} printable characters; this one has ${name.length}${/\p{Cc}/u.test(name) ? ', with control characters among them' : ''}.`,
  );
}
