import type { ImageQueries } from '../db/images/images.ts';
import type { ReferenceQueries } from '../db/images/references.ts';
import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { Principal } from '../model/principal.ts';
import { imageNotFound } from './image-errors.ts';

/**
 * Pattern of a reference: 1 to 200 printable characters. The HTTP API uses the same pattern for URL paths, so that
 * every stored reference can be part of a URL.
 */
export const referencePattern = /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,200}$/u;

/**
 * Pattern of a new reference. A new reference must match `referencePattern` and must not contain U+FFFD (which replaces
 * text that was lost in a conversion), byte order marks or bidirectional control characters. Existing references that
 * contain these characters can still be removed.
 */
export const newReferencePattern =
  /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFD\uFEFF\u202A-\u202E\u2066-\u2069]{1,200}$/u;

/** Normalises a reference to NFC, so that different encodings of "é" are equal (Unicode Standard Annex 15). */
function normalizeReference(text: string): string {
  return text.normalize('NFC');
}

/** Normalises and validates a new reference. @throws {AppError} `invalid_request`. */
export function parseNewReference(text: string): string {
  const normalizedText = normalizeReference(text);
  if (newReferencePattern.test(normalizedText)) return normalizedText;
  throw new AppError('invalid_request', `A reference ${describeReferenceError(normalizedText)}.`);
}

/** Returns why `text` is not a valid new reference, as a clause without a subject. */
export function describeReferenceError(text: string): string {
  const [forbiddenCharacter] = /[\uFFFD\uFEFF\u202A-\u202E\u2066-\u2069]/u.exec(text) ?? [];
  if (forbiddenCharacter === '\uFFFD')
    return 'must not contain the character U+FFFD, which replaces text that was lost in a conversion';
  if (forbiddenCharacter !== undefined && referencePattern.test(text))
    return `must not contain the character U+${forbiddenCharacter.charCodeAt(0).toString(16).toUpperCase()}, which is invisible`;
  const { length } = Array.from(text);
  return `must have 1 to 200 printable characters and must not consist only of spaces (it has ${length} ${length === 1 ? 'character' : 'characters'})`;
}

interface Dependencies {
  readonly images: Pick<ImageQueries, 'findWithoutRenditions'>;
  readonly references: ReferenceQueries;
}

/** A reference and when it was added. */
export interface ReferenceEntry {
  readonly reference: string;
  readonly createdAt: Date;
}

/**
 * Manages references. A reference identifies something, such as a product, that uses an image. An image with references
 * is never purged as unused, and it can only be deleted with `force`.
 */
export interface References {
  /**
   * Adds a reference unless it exists. Returns the normalised reference, whether it is new, and the image's
   * reference count.
   * @throws {AppError} `invalid_request`, `image_not_found`.
   */
  add(
    principal: Principal,
    image: ImageRef,
    reference: string,
  ): Promise<{ reference: string; added: boolean; count: number }>;
  /**
   * Removes a reference if it exists. Returns the number of remaining references. @throws {AppError} `image_not_found`.
   */
  remove(principal: Principal, image: ImageRef, reference: string): Promise<{ count: number }>;
  /** Lists an image's references. @throws {AppError} `image_not_found`. */
  list(principal: Principal, image: ImageRef, page: PageRequest): Promise<Page<ReferenceEntry>>;
}

/** @see References */
export function makeReferences({ images, references }: Dependencies): References {
  async function find(principal: Principal, imageRef: ImageRef): Promise<Image> {
    const image = await images.findWithoutRenditions(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    return image;
  }

  return {
    async add(principal, image, reference) {
      const newReference = parseNewReference(reference);
      const { id } = await find(principal, image);
      const change = await references.add(principal, id, newReference);
      if (!change) throw imageNotFound(image);
      return { reference: newReference, added: change.changed, count: change.count };
    },
    async remove(principal, image, reference) {
      const { id } = await find(principal, image);
      const change = await references.remove(principal, id, normalizeReference(reference));
      if (!change) throw imageNotFound(image);
      return { count: change.count };
    },
    async list(principal, image, page) {
      const { id, inUseCount } = await find(principal, image);
      return references.list(id, inUseCount, page);
    },
  };
}
