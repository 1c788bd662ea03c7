import type { ImageQueries } from '../db/images/images.ts';
import type { Image, ImageRef, NearDuplicate } from '../model/image.ts';
import type { Principal } from '../model/principal.ts';
import type { Duplicate } from '../model/similarity.ts';
import { notFound } from './retrieve-image.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find' | 'listByContent' | 'listByIds'>;
}

/** Finds the exact copies and the near-duplicates of an image. @throws {AppError} `image_not_found`. */
export type FindDuplicates = (
  principal: Principal,
  reference: ImageRef,
) => Promise<{ readonly image: Image; readonly duplicates: readonly Duplicate[] }>;

/** @see FindDuplicates */
export function makeFindDuplicates({ images }: Dependencies): FindDuplicates {
  return async (principal, reference) => {
    const image = await images.find(principal, reference);
    if (!image) throw notFound(reference);
    const copies = image.contentHash ? await images.listByContent(image.tenantId, image.contentHash) : [];
    const near = await showNear(images, principal, image.nearDuplicates);
    return { image, duplicates: [...copies.filter(({ id }) => id !== image.id).map(exactCopy), ...near] };
  };
}

/** An image with the same bytes. */
export function exactCopy(image: Image): Duplicate {
  return { image, kind: 'exact', distance: 0, difference: 0, reason: 'the same bytes' };
}

/** Near-duplicates as images. */
export async function showNear(
  images: Pick<ImageQueries, 'listByIds'>,
  principal: Principal,
  found: readonly NearDuplicate[],
): Promise<Duplicate[]> {
  const byId = new Map(found.map((match) => [match.id, match]));
  const shown = await images.listByIds(principal, [...byId.keys()]);
  return shown.flatMap((image) => {
    const match = byId.get(image.id);
    if (!match) return [];
    const { distance, difference, reason } = match;
    return [{ image, kind: 'near' as const, distance, difference, reason }];
  });
}
