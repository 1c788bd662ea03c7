import type { ImageQueries } from '../db/images/images.ts';
import type { ReferenceQueries } from '../db/images/references.ts';
import type { Image, ImageRef } from '../model/image.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { Principal } from '../model/principal.ts';
import { newReference, normalizeReference } from './reference-name.ts';
import { notFound } from './retrieve-image.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'findBare'>;
  readonly references: ReferenceQueries;
}

/** Who uses an image. */
export interface UsedBy {
  readonly reference: string;
  readonly createdAt: Date;
}

/** References say who uses an image: an image in use is not deleted by mistake and never purged as unused. */
export interface References {
  /**
   * Adds a reference; an existing one is kept. Returns it as stored, whether it is new, and the number of references.
   * @throws {AppError} `invalid_request`, `image_not_found`.
   */
  add(
    principal: Principal,
    image: ImageRef,
    reference: string,
  ): Promise<{ reference: string; added: boolean; count: number }>;
  /** Removes a reference; one that is not there is fine. */
  remove(principal: Principal, image: ImageRef, reference: string): Promise<{ count: number }>;
  list(principal: Principal, image: ImageRef, page: PageRequest): Promise<Page<UsedBy>>;
}

/** @see References */
export function makeReferences({ images, references }: Dependencies): References {
  async function find(principal: Principal, reference: ImageRef): Promise<Image> {
    const image = await images.findBare(principal, reference);
    if (!image) throw notFound(reference);
    return image;
  }

  return {
    async add(principal, image, reference) {
      const name = newReference(reference);
      const { id } = await find(principal, image);
      const change = await references.add(id, name);
      if (!change) throw notFound(image);
      return { reference: name, added: change.changed, count: change.count };
    },
    async remove(principal, image, reference) {
      const { id } = await find(principal, image);
      const change = await references.remove(id, normalizeReference(reference));
      if (!change) throw notFound(image);
      return { count: change.count };
    },
    async list(principal, image, page) {
      const { id, inUseCount } = await find(principal, image);
      return references.list(id, inUseCount, page);
    },
  };
}
