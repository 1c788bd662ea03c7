/** Size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A part of a picture, in pixels. */
export interface Frame extends Size {
  readonly left: number;
  readonly top: number;
}

/**
 * Size of `source` made to fit inside `box`: proportions kept, never enlarged, each side at least 1 pixel and never
 * larger than the box. Each side is rounded to the nearest pixel, so it lies within 1 px of the exact value, except
 * where a side would vanish. Larger boxes never give smaller sizes, on either side.
 */
export function fitInside(source: Size, box: Size): Size {
  const scale = Math.min(1, box.width / source.width, box.height / source.height);
  return {
    width: scaledSide(source.width, scale, box.width),
    height: scaledSide(source.height, scale, box.height),
  };
}

function scaledSide(side: number, scale: number, most: number): number {
  return Math.max(1, Math.min(Math.round(side * scale), most));
}

/** Whether `large` is at least `factor` times as wide and as high as `small`. */
export function isAsLargeAs(large: Size, small: Size, factor = 1): boolean {
  return large.width >= small.width * factor && large.height >= small.height * factor;
}
