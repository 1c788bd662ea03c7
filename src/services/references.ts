import type { ImageQueries } from '../db/images/images.ts';
import type { ReferenceQueries } from '../db/images/references.ts';
import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { Principal } from '../model/principal.ts';
import { imageNotFound } from './image-errors.ts';

/**
 * Valid names of references: 1 to 200 printable characters. Requests are checked against the same pattern, so every
 * stored name can be part of an address.
 */
export const referenceName = /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,200}$/u;

/**
 * Names that may be added: additionally without U+FFFD (lost in a conversion), byte order marks and bidirectional
 * control characters. Existing names that contain them can still be removed.
 */
export const newReferenceName =
  /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFD\uFEFF\u202A-\u202E\u2066-\u2069]{1,200}$/u;

/** Normalises a name to NFC, so that different encodings of "é" are the same name (Unicode Standard Annex 15). */
function normalizeReference(name: string): string {
  return name.normalize('NFC');
}

/** Normalises and validates the name of a new reference. @throws {AppError} `invalid_request`. */
export function newReference(name: string): string {
  const normalized = normalizeReference(name);
  if (newReferenceName.test(normalized)) return normalized;
  throw new AppError('invalid_request', `A reference ${describeReferenceFault(normalized)}.`);
}

/** Says why a text is not a valid name, as a clause without a subject. */
export function describeReferenceFault(text: string): string {
  const [lost] = /[\uFFFD\uFEFF\u202A-\u202E\u2066-\u2069]/u.exec(text) ?? [];
  if (lost === '\uFFFD')
    return 'must not have the character U+FFFD, which stands for text that was lost in a conversion';
  if (lost !== undefined && referenceName.test(text))
    return `must not have the character U+${lost.charCodeAt(0).toString(16).toUpperCase()}, which is not visible`;
  return `must have 1 to 200 printable characters, not all of them spaces (it has ${Array.from(text).length} characters)`;
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

/** Manages references: names of users of an image. An image in use is not purged, and only deleted by force. */
export interface References {
  /**
   * Adds a reference, unless it exists. Returns its normalised name, whether it is new, and the number of references.
   * @throws {AppError} `invalid_request`, `image_not_found`.
   */
  add(
    principal: Principal,
    image: ImageRef,
    reference: string,
  ): Promise<{ reference: string; added: boolean; count: number }>;
  /** Removes a reference, if it exists. @throws {AppError} `image_not_found`. */
  remove(principal: Principal, image: ImageRef, reference: string): Promise<{ count: number }>;
  /** @throws {AppError} `image_not_found`. */
  list(principal: Principal, image: ImageRef, page: PageRequest): Promise<Page<UsedBy>>;
}

/** @see References */
export function makeReferences({ images, references }: Dependencies): References {
  async function find(principal: Principal, reference: ImageRef): Promise<Image> {
    const image = await images.findWithoutRenditions(principal, reference);
    if (!image) throw imageNotFound(reference);
    return image;
  }

  return {
    async add(principal, image, reference) {
      const name = newReference(reference);
      const { id } = await find(principal, image);
      const change = await references.add(id, name);
      if (!change) throw imageNotFound(image);
      return { reference: name, added: change.changed, count: change.count };
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
