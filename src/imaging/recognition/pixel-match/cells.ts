import type { Pixels } from '../../decoding/pixels.ts';
import type { Plane } from './cell-planes.ts';

/** Side of a cell in pixels. The last ones of a row or column may be a few pixels larger, so that none is smaller. */
const cellSide = 4;

/** Means of a picture's cells on the scale of 8 bits: luma, and the two chroma channels of JPEG around 0. */
export interface CellMeans {
  readonly luma: Plane;
  readonly blue: Plane;
  readonly red: Plane;
}

/**
 * Means of 4 × 4 pixels in the colour space of JPEG (JFIF 1.02: ITU-R BT.601, full range). Encoders quantise in it, so
 * their noise is roughly uniform; CIE L*a*b* would magnify that of dark, saturated areas.
 */
export function cellMeans({ data, width, height }: Pixels): CellMeans {
  const across = startsOf(width);
  const down = startsOf(height);
  const size = { columns: across.length - 1, rows: down.length - 1 };
  const plane = () => ({ ...size, values: new Float32Array(size.columns * size.rows) });
  const means = { luma: plane(), blue: plane(), red: plane() };
  for (let cell = 0; cell < means.luma.values.length; cell++) {
    const column = cell % size.columns;
    const row = Math.floor(cell / size.columns);
    const [left = 0, right = width] = [across[column], across[column + 1]];
    const [top = 0, bottom = height] = [down[row], down[row + 1]];
    let [red, green, blue] = [0, 0, 0];
    for (let y = top; y < bottom; y++) {
      const end = (y * width + right) * 3;
      for (let at = (y * width + left) * 3; at < end; at += 3) {
        red += data[at] ?? 0;
        green += data[at + 1] ?? 0;
        blue += data[at + 2] ?? 0;
      }
    }
    const count = (right - left) * (bottom - top);
    const luma = (0.299 * red + 0.587 * green + 0.114 * blue) / count;
    means.luma.values[cell] = luma;
    means.blue.values[cell] = 0.564 * (blue / count - luma);
    means.red.values[cell] = 0.713 * (red / count - luma);
  }
  return means;
}

/** First pixel of each cell along one dimension, and the end of the last one. */
function startsOf(length: number): Int32Array {
  const count = Math.max(1, Math.floor(length / cellSide));
  return Int32Array.from({ length: count + 1 }, (_, cell) => Math.floor((cell * length) / count));
}
