import type { ImagePair, JudgedImage, VerdictQueries } from '../../db/duplicates/verdicts.ts';
import type { ImageQueries } from '../../db/images/images.ts';
import { AppError } from '../../errors.ts';
import type { DuplicateVerdict, PairVerdict } from '../../model/duplicates.ts';
import type { ImageRef } from '../../model/image.ts';
import type { Principal } from '../../model/principal.ts';
import { imageNotFound, noOriginal } from '../image-errors.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'findWithoutRenditions'>;
  readonly verdicts: Pick<VerdictQueries, 'set' | 'remove'>;
}

/** The verdict on a pair of images, in the order in which the caller named them. */
export interface JudgedPair extends PairVerdict {
  readonly image: JudgedImage;
  readonly other: JudgedImage;
}

/**
 * Records and removes what people decide about pairs. A verdict applies to the contents of the two images, so it also applies
 * to images with the same contents that are added later.
 */
export interface JudgePairs {
  /**
   * Records a verdict, or replaces the one that there is.
   * @throws {AppError} `image_not_found`; `rendition_not_ready` if an image has no original; `invalid_request` if the images
   *   are the same, have the same bytes or belong to different tenants.
   */
  set(principal: Principal, image: ImageRef, other: ImageRef, verdict: DuplicateVerdict): Promise<JudgedPair>;
  /** Removes the verdict if there is one. @throws {AppError} the errors of `set`. */
  remove(principal: Principal, image: ImageRef, other: ImageRef): Promise<void>;
}

/** @see JudgePairs */
export function makeJudgePairs({ images, verdicts }: Dependencies): JudgePairs {
  async function find(principal: Principal, imageRef: ImageRef): Promise<JudgedImage> {
    const image = await images.findWithoutRenditions(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    const { id, uuid, tenantId, contentHash } = image;
    if (contentHash === null) throw noOriginal(image);
    return { id, uuid, tenantId, contentHash };
  }

  async function findPair(principal: Principal, imageRef: ImageRef, otherRef: ImageRef): Promise<ImagePair> {
    const image = await find(principal, imageRef);
    const other = await find(principal, otherRef);
    if (image.id === other.id) throw invalidPair(`Image ${image.id} cannot be compared with itself.`);
    if (image.tenantId !== other.tenantId)
      throw invalidPair(`Images ${image.id} and ${other.id} belong to different tenants.`);
    if (image.contentHash === other.contentHash)
      throw invalidPair(
        `Images ${image.id} and ${other.id} have the same bytes, so there is nothing to decide.`,
      );
    return [image, other];
  }

  return {
    async set(principal, imageRef, otherRef, verdict) {
      const pair = await findPair(principal, imageRef, otherRef);
      const recorded = await verdicts.set(principal, pair, verdict);
      if (!recorded) throw imageNotFound(imageRef);
      return { ...recorded, image: pair[0], other: pair[1] };
    },
    async remove(principal, imageRef, otherRef) {
      const pair = await findPair(principal, imageRef, otherRef);
      if (!(await verdicts.remove(principal, pair))) throw imageNotFound(imageRef);
    },
  };
}

function invalidPair(sentence: string): AppError {
  return new AppError('invalid_request', sentence);
}
