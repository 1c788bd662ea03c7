import type { Raster } from '../decoding/pixels.ts';
import type { Rectangle } from '../geometry.ts';

/** Side of the square in each corner whose mean determines the colour of a border. A single pixel could be noise. */
const cornerSide = 3;

/**
 * Returns the part of a picture inside its border: its pixels that are not transparent or, if the whole picture is opaque up to its
 * edges, those that differ from a plain border. A border is plain if all four corners have the same colour, so a photograph
 * without a border is not trimmed. Also returns the whole picture if nothing would be left of it.
 * @param tolerance the largest difference from the border's colour, or from full transparency, per channel, 0 to 255
 */
export function findContent(raster: Raster, tolerance: number): Rectangle {
  const whole = { left: 0, top: 0, width: raster.width, height: raster.height };
  if (raster.channels === 4) {
    const area = findArea(raster, makeOpacityTest(raster, tolerance));
    if (area === undefined) return whole;
    if (area.width < whole.width || area.height < whole.height) return area;
  }
  const border = findBorderColour(raster, tolerance);
  if (border === undefined) return whole;
  return findArea(raster, makeColourTest(raster, border, tolerance)) ?? whole;
}

/** Returns whether the pixel at an offset in the data belongs to the content. */
type ContentTest = (offset: number) => boolean;

function makeOpacityTest({ data }: Raster, tolerance: number): ContentTest {
  return (offset) => (data[offset + 3] ?? 0) > tolerance;
}

function makeColourTest(
  { data, channels }: Raster,
  border: readonly number[],
  tolerance: number,
): ContentTest {
  const [red = 0, green = 0, blue = 0, alpha = 255] = border;
  const differs = (value: number, colour: number) => value - colour > tolerance || colour - value > tolerance;
  return (offset) =>
    differs(data[offset] ?? 0, red) ||
    differs(data[offset + 1] ?? 0, green) ||
    differs(data[offset + 2] ?? 0, blue) ||
    (channels === 4 && differs(data[offset + 3] ?? 0, alpha));
}

/** Returns the colour of a border; `undefined` if the corners differ. */
function findBorderColour(
  { width, height, channels, data }: Raster,
  tolerance: number,
): number[] | undefined {
  const columns = Math.min(cornerSide, width);
  const rows = Math.min(cornerSide, height);
  const meanOfCorner = (left: number, top: number) =>
    Array.from({ length: channels }, (_, channel) => {
      let sum = 0;
      for (let y = top; y < top + rows; y++) {
        for (let x = left; x < left + columns; x++) sum += data[(y * width + x) * channels + channel] ?? 0;
      }
      return sum / (columns * rows);
    });
  const corners = [0, height - rows].flatMap((top) =>
    [0, width - columns].map((left) => meanOfCorner(left, top)),
  );
  const ranges = Array.from({ length: channels }, (_, channel) => {
    const values = corners.map((corner) => corner[channel] ?? 0);
    return { min: Math.min(...values), max: Math.max(...values) };
  });
  if (ranges.some(({ min, max }) => max - min > tolerance)) return undefined;
  return ranges.map(({ min, max }) => (min + max) / 2);
}

/** Returns the smallest rectangle that contains all content; `undefined` if there is none. */
function findArea({ width, height, channels }: Raster, isContent: ContentTest): Rectangle | undefined {
  const offsetOf = (x: number, y: number) => (y * width + x) * channels;
  const hasContentInRow = (y: number) => {
    const end = offsetOf(width, y);
    for (let offset = offsetOf(0, y); offset < end; offset += channels) if (isContent(offset)) return true;
    return false;
  };
  let top = 0;
  while (top < height && !hasContentInRow(top)) top++;
  if (top === height) return undefined;
  let bottom = height - 1;
  while (!hasContentInRow(bottom)) bottom--;
  // Row by row, so that memory is read in order. Each row can only widen the area.
  let [left, right] = [width, -1];
  for (let y = top; y <= bottom; y++) {
    for (let x = 0; x < left; x++) if (isContent(offsetOf(x, y))) left = x;
    for (let x = width - 1; x > right; x--) if (isContent(offsetOf(x, y))) right = x;
  }
  return { left, top, width: right - left + 1, height: bottom - top + 1 };
}
