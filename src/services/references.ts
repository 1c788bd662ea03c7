import type { ImageQueries } from '../db/images/images.ts';
import type { ReferenceQueries } from '../db/images/references.ts';
import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { Principal } from '../model/principal.ts';
import { imageNotFound } from './image-errors.ts';

/**
 * Pattern of a reference: 1 to 200 printable characters. The HTTP API uses the same pattern for URL paths, so every
 * stored reference can be addressed.
 */
export const referencePattern = /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,200}$/u;

/**
 * Pattern of a new reference, which must not contain U+FFFD (text lost in a conversion), byte order marks or
 * bidirectional control characters either. Existing references that contain them can still be removed.
 */
export const newReferencePattern =
  /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFD\uFEFF\u202A-\u202E\u2066-\u2069]{1,200}$/u;

/** Normalises a reference to NFC, so that different encodings of "é" are equal (Unicode Standard Annex 15). */
function normalizeReference(text: string): string {
  return text.normalize('NFC');
}

/** Normalises and validates a new reference. @throws {AppError} `invalid_request`. */
export function parseNewReference(text: string): string {
  const normalized = normalizeReference(text);
  if (newReferencePattern.test(normalized)) return normalized;
  throw new AppError('invalid_request', `A reference ${describeReferenceError(normalized)}.`);
}

/** Returns why a text is not a valid new reference, as a clause without a subject. */
export function describeReferenceError(text: string): string {
  const [forbidden] = /[\uFFFD\uFEFF\u202A-\u202E\u2066-\u2069]/u.exec(text) ?? [];
  if (forbidden === '\uFFFD')
    return 'must not contain the character U+FFFD, which stands for text that was lost in a conversion';
  if (forbidden !== undefined && referencePattern.test(text))
    return `must not contain the character U+${forbidden.charCodeAt(0).toString(16).toUpperCase()}, which is invisible`;
  return `must have 1 to 200 printable characters, not only spaces (it has ${Array.from(text).length} characters)`;
}

interface Dependencies {
  readonly images: Pick<ImageQueries, 'findWithoutRenditions'>;
  readonly references: ReferenceQueries;
}

/** A reference and when it was added. */
export interface UsedBy {
  readonly reference: string;
  readonly createdAt: Date;
}

/**
 * Manages references, which name the users of an image. An image with references is not purged, and is deleted only by
 * force.
 */
export interface References {
  /**
   * Adds a reference unless it exists. Returns the normalised reference, whether it is new, and the number of
   * references.
   * @throws {AppError} `invalid_request`, `image_not_found`.
   */
  add(
    principal: Principal,
    image: ImageRef,
    reference: string,
  ): Promise<{ reference: string; added: boolean; count: number }>;
  /** Removes a reference if it exists. Returns the number of references left. @throws {AppError} `image_not_found`. */
  remove(principal: Principal, image: ImageRef, reference: string): Promise<{ count: number }>;
  /** Lists an image's references. @throws {AppError} `image_not_found`. */
  list(principal: Principal, image: ImageRef, page: PageRequest): Promise<Page<UsedBy>>;
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
      const normalized = parseNewReference(reference);
      const { id } = await find(principal, image);
      const change = await references.add(id, normalized);
      if (!change) throw imageNotFound(image);
      return { reference: normalized, added: change.changed, count: change.count };
    },
    async remove(principal, image, reference) {
      const { id } = await find(principal, image);
      const change = await references.remove(id, normalizeReference(reference));
      if (!change) throw imageNotFound(image);
      return { count: change.count };
    },
    async list(principal, image, page) {
      const { id, inUseCount } = await find(principal, image);
      return references.list(id, inUseCount, page);
    },
  };
}
