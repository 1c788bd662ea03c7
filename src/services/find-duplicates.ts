import type { ImageQueries } from '../db/images/images.ts';
import type { Image, ImageRef, NearDuplicate } from '../model/image.ts';
import type { Principal } from '../model/principal.ts';
import type { Duplicate } from '../model/similarity.ts';
import { imageNotFound } from './image-errors.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find' | 'listByContent' | 'listByIds'>;
}

/**
 * Finds the exact copies of an image, and the images with which it forms a shown pair of any tier. @throws {AppError} `image_not_found`.
 */
export type FindDuplicates = (
  principal: Principal,
  imageRef: ImageRef,
) => Promise<{ readonly image: Image; readonly duplicates: readonly Duplicate[] }>;

/** @see FindDuplicates */
export function makeFindDuplicates({ images }: Dependencies): FindDuplicates {
  return async (principal, imageRef) => {
    const image = await images.find(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    const copies = image.contentHash ? await images.listByContent(image.tenantId, image.contentHash) : [];
    const otherCopies = copies.filter(({ id }) => id !== image.id);
    const nearDuplicates = await loadNearDuplicates(images, principal, image.nearDuplicates);
    return { image, duplicates: [...otherCopies.map(toExactDuplicate), ...nearDuplicates] };
  };
}

/** Creates the duplicate entry for an image whose original has the same bytes. */
export function toExactDuplicate(image: Image): Duplicate {
  return {
    image,
    kind: 'exact',
    tier: 'identical',
    verdict: null,
    edit: null,
    box: null,
    distance: 0,
    difference: 0,
    reason: 'the same bytes',
  };
}

/** Loads the images of near-duplicates, except those that are deleted or that the caller may not see. */
export async function loadNearDuplicates(
  images: Pick<ImageQueries, 'listByIds'>,
  principal: Principal,
  matches: readonly NearDuplicate[],
): Promise<Duplicate[]> {
  const matchesById = new Map(matches.map((match) => [match.id, match]));
  const loadedImages = await images.listByIds(principal, [...matchesById.keys()]);
  return loadedImages.flatMap((image) => {
    const match = matchesById.get(image.id);
    if (!match) return [];
    const { id: _id, uuid: _uuid, ...pair } = match;
    return [{ image, kind: 'near' as const, ...pair }];
  });
}
