import type { Rectangle } from '../../geometry.ts';

/**
 * Where one picture lies in another: position x in the first picture is position `scaleX` · x + `shiftX` in the second; likewise
 * for y. All positions are fractions of the width or height.
 */
export interface Placement {
  readonly scaleX: number;
  readonly shiftX: number;
  readonly scaleY: number;
  readonly shiftY: number;
}

/** Returns the placement that maps one area to another. Both are fractions of their picture. */
export function placeArea(from: Rectangle, to: Rectangle): Placement {
  const scaleX = to.width / from.width;
  const scaleY = to.height / from.height;
  return { scaleX, shiftX: to.left - scaleX * from.left, scaleY, shiftY: to.top - scaleY * from.top };
}

/** The part that two pictures have in common, as fractions of each. */
export interface Overlap {
  readonly first: Rectangle;
  readonly second: Rectangle;
}

/** Returns the part of two pictures that lies within both. */
export function findOverlap({ scaleX, shiftX, scaleY, shiftY }: Placement): Overlap {
  const left = Math.max(0, -shiftX / scaleX);
  const right = Math.min(1, (1 - shiftX) / scaleX);
  const top = Math.max(0, -shiftY / scaleY);
  const bottom = Math.min(1, (1 - shiftY) / scaleY);
  const first = { left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
  return {
    first,
    second: {
      left: scaleX * left + shiftX,
      top: scaleY * top + shiftY,
      width: scaleX * first.width,
      height: scaleY * first.height,
    },
  };
}
