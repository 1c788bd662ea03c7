import type { Raster } from '../decoding/pixels.ts';
import type { Rectangle, Size } from '../geometry.ts';

/** A colour, or `undefined` for transparency. */
export type Background = readonly [red: number, green: number, blue: number] | undefined;

/** Parses the background of a preset: `#rrggbb` or `transparent`. */
export function parseBackground(background: string): Background {
  if (background === 'transparent') return undefined;
  const value = Number.parseInt(background.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** Crops a picture. Returns the same object if the part is the whole picture. */
export function cut(raster: Raster, { left, top, width, height }: Rectangle): Raster {
  if (width === raster.width && height === raster.height) return raster;
  const { channels, data } = raster;
  const result = Buffer.allocUnsafe(width * height * channels);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * raster.width + left) * channels;
    data.copy(result, y * width * channels, start, start + width * channels);
  }
  return { width, height, channels, data: result };
}

/** Flattens a picture onto a colour. Returns the same object if it has no alpha channel or the background is transparent. */
export function flatten(raster: Raster, background: Background): Raster {
  if (raster.channels === 3 || background === undefined) return raster;
  const { width, height, data } = raster;
  const [red, green, blue] = background;
  const result = Buffer.allocUnsafe(width * height * 3);
  for (let source = 0, target = 0; source < data.length; source += 4, target += 3) {
    const alpha = data[source + 3] ?? 0;
    // The division is exact to the nearest integer for all 8-bit values.
    result[target] = Math.round(((data[source] ?? 0) * alpha + red * (255 - alpha)) / 255);
    result[target + 1] = Math.round(((data[source + 1] ?? 0) * alpha + green * (255 - alpha)) / 255);
    result[target + 2] = Math.round(((data[source + 2] ?? 0) * alpha + blue * (255 - alpha)) / 255);
  }
  return { width, height, channels: 3, data: result };
}

/**
 * Places a picture on a background of size `output`. The picture must already be flattened onto the background. Returns the
 * same object if it fills the output.
 */
export function placeOn(
  raster: Raster,
  background: Background,
  { left, top }: Pick<Rectangle, 'left' | 'top'>,
  output: Size,
): Raster {
  if (raster.width === output.width && raster.height === output.height) return raster;
  const placed = background === undefined ? addAlpha(raster) : raster;
  const { channels } = placed;
  const { width, height } = output;
  const colour = background ?? [255, 255, 255, 0];
  const data = Buffer.alloc(width * height * channels, Buffer.from(colour));
  for (let y = 0; y < placed.height; y++) {
    const start = y * placed.width * channels;
    placed.data.copy(data, ((top + y) * width + left) * channels, start, start + placed.width * channels);
  }
  return { width, height, channels, data };
}

/** Returns the picture with an alpha channel. */
function addAlpha(raster: Raster): Raster {
  if (raster.channels === 4) return raster;
  const { width, height, data } = raster;
  const result = Buffer.alloc(width * height * 4, 255);
  for (let source = 0, target = 0; source < data.length; source += 3, target += 4) {
    result[target] = data[source] ?? 0;
    result[target + 1] = data[source + 1] ?? 0;
    result[target + 2] = data[source + 2] ?? 0;
  }
  return { width, height, channels: 4, data: result };
}
