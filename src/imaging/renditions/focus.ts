import type { FocalPoint, Focus } from '../../model/preset.ts';
import { sharp } from '../decoding/native-library.ts';
import { fromRaster, type Raster } from '../decoding/pixels.ts';
import type { Rectangle, Size } from '../geometry.ts';

/** Returns the part of size `kept` that has the focal point as close to its centre as possible. */
export function cutAroundPoint(scaled: Size, kept: Size, { x, y }: FocalPoint): Rectangle {
  return {
    left: placeSide(scaled.width, kept.width, x),
    top: placeSide(scaled.height, kept.height, y),
    ...kept,
  };
}

function placeSide(whole: number, part: number, fraction: number): number {
  return Math.max(0, Math.min(whole - part, Math.round(fraction * whole - part / 2)));
}

/**
 * Selects the part of size `kept` to which `cover` crops. `attention` looks for skin tones, saturated colours and high contrast,
 * `entropy` for the part with the most detail.
 */
export async function selectCut(
  raster: Raster,
  kept: Size,
  focus: Focus,
  focalPoint: FocalPoint | null,
): Promise<Rectangle> {
  const isWhole = raster.width === kept.width && raster.height === kept.height;
  if (focus === 'center' || focalPoint !== null || isWhole)
    return cutAroundPoint(raster, kept, focalPoint ?? { x: 0.5, y: 0.5 });
  const { info } = await fromRaster(raster)
    .resize({ width: kept.width, height: kept.height, fit: 'cover', position: sharp.strategy[focus] })
    .raw()
    .toBuffer({ resolveWithObject: true });
  // The library reports the offset of the picture relative to the part, which is never positive.
  const [left, top] = [-(info.cropOffsetLeft ?? 0), -(info.cropOffsetTop ?? 0)];
  return {
    left: Math.max(0, Math.min(raster.width - kept.width, left)),
    top: Math.max(0, Math.min(raster.height - kept.height, top)),
    ...kept,
  };
}
