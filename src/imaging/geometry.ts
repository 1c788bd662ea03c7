/** Size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A rectangle in a picture, in pixels. */
export interface Rectangle extends Size {
  readonly left: number;
  readonly top: number;
}

/**
 * Returns the largest size that has the proportions of `source`, fits inside `box` and is no larger than `source`. Each
 * side is rounded to the nearest pixel, but is at least 1 and at most the side of the box. A larger box never yields a
 * shorter side.
 */
export function fitInside(source: Size, box: Size): Size {
  const scale = Math.min(1, box.width / source.width, box.height / source.height);
  return {
    width: scaleSide(source.width, scale, box.width),
    height: scaleSide(source.height, scale, box.height),
  };
}

function scaleSide(side: number, scale: number, max: number): number {
  return Math.max(1, Math.min(Math.round(side * scale), max));
}

/** Returns whether `large` is at least `factor` times as wide and as high as `small`. */
export function isAsLargeAs(large: Size, small: Size, factor = 1): boolean {
  return large.width >= small.width * factor && large.height >= small.height * factor;
}
