import { AppError } from '../errors.ts';

/**
 * What may be the name of a reference: 1 to 200 printable characters. Every way in and out goes by this one rule, so
 * that no name gets in that no address can spell.
 */
export const referenceName = /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,200}$/u;

/** @throws {AppError} `invalid_request` unless `name` may be a reference. */
export function assertReference(name: string): void {
  if (referenceName.test(name)) return;
  throw new AppError(
    'invalid_request',
    `A reference is 1 to 200 printable characters, not all of them spaces; this one has ${Array.from(name).length} characters.`,
  );
}
