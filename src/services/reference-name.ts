import { AppError } from '../errors.ts';

/**
 * What may be the name of a reference: 1 to 200 printable characters. Every way in and out goes by this one rule, so
 * that no name gets in that no address can spell.
 */
export const referenceName = /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,200}$/u;

/**
 * A name that may be added: as above, without text lost in a conversion (U+FFFD), byte order marks and bidirectional
 * control characters. Existing names that contain them can still be removed.
 */
export const newReferenceName =
  /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFD\uFEFF\u202A-\u202E\u2066-\u2069]{1,200}$/u;

/**
 * A name as stored and looked up: in NFC, so that different encodings of "é" are one name (Unicode Standard Annex 15).
 */
export function normalizeReference(name: string): string {
  return name.normalize('NFC');
}

/** A name to be added, normalised. @throws {AppError} `invalid_request` if it is not a valid reference. */
export function newReference(name: string): string {
  const normalized = normalizeReference(name);
  if (newReferenceName.test(normalized)) return normalized;
  throw new AppError('invalid_request', `A reference ${describeReferenceFault(normalized)}.`);
}

/** Why a text is not a valid reference name, as a clause. */
export function describeReferenceFault(text: string): string {
  const [lost] = /[\uFFFD\uFEFF\u202A-\u202E\u2066-\u2069]/u.exec(text) ?? [];
  if (lost === '\uFFFD')
    return 'must not have the character U+FFFD, which stands for text that was lost in a conversion';
  if (lost !== undefined && referenceName.test(text))
    return `must not have the character U+${lost.charCodeAt(0).toString(16).toUpperCase()}, which is not visible`;
  return `must have 1 to 200 printable characters, not all of them spaces (it has ${Array.from(text).length} characters)`;
}
