import type { FocalPointQueries } from '../../db/images/focal-points.ts';
import type { Image, ImageRef } from '../../model/image.ts';
import type { Logger } from '../../model/logger.ts';
import type { FocalPoint } from '../../model/preset.ts';
import { callerFields, type Principal } from '../../model/principal.ts';
import { imageNotFound } from '../image-errors.ts';
import type { RenditionCache } from '../rendition-cache.ts';

interface Dependencies {
  readonly focalPoints: FocalPointQueries;
  readonly cache: Pick<RenditionCache, 'evict'>;
  readonly logger: Logger;
}

/**
 * Changes the point of a picture that presets with `cover` keep in view. Their renditions are made again when they are next
 * requested; all others stay as they are.
 */
export interface ManageFocalPoint {
  /** Sets the focal point, rounded to four decimals. @throws {AppError} `image_not_found`. */
  set(principal: Principal, imageRef: ImageRef, point: FocalPoint): Promise<Image>;
  /** Removes the focal point, if there is one. @throws {AppError} `image_not_found`. */
  remove(principal: Principal, imageRef: ImageRef): Promise<Image>;
}

/** @see ManageFocalPoint */
export function makeManageFocalPoint({ focalPoints, cache, logger }: Dependencies): ManageFocalPoint {
  async function change(principal: Principal, imageRef: ImageRef, point: FocalPoint | null): Promise<Image> {
    const image = await focalPoints.set(principal, imageRef, point);
    if (!image) throw imageNotFound(imageRef);
    cache.evict(image);
    logger.info(
      { image: image.id, uuid: image.uuid, focus: point, ...callerFields(principal) },
      `the focal point of image ${image.id} was ${point ? 'set' : 'removed'}`,
    );
    return image;
  }

  return {
    set: (principal, imageRef, { x, y }) =>
      change(principal, imageRef, { x: roundFraction(x), y: roundFraction(y) }),
    remove: (principal, imageRef) => change(principal, imageRef, null),
  };
}

/** Rounds to a precision that the database stores exactly, because the recipe depends on the value. */
function roundFraction(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
