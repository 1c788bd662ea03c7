import type { Pixels } from '../decoding/pixels.ts';
import type { Rectangle } from '../geometry.ts';

/** Largest difference, per channel, between a pixel of a plain line and the mean of that line. */
const maxDeviation = 12;
/** Fraction of a plain line that may deviate more: dust, or noise of the compression. */
const maxDeviating = 0.01;
/** Minimum side of the content as a fraction of the picture's side. Anything smaller is dust on a plain picture. */
const minSide = 0.08;

/**
 * Returns the part of a picture that is left when plain rows and columns are removed from its edges, one side after the other,
 * until none is plain. Each line has a colour of its own, so a border of several colours, or around a picture that has
 * a plain background itself, is removed as well. Returns the whole picture if hardly anything would be left.
 */
export function removePlainEdges(pixels: Pixels): Rectangle {
  const { width, height } = pixels;
  const edges: Edges = { left: 0, top: 0, right: width, bottom: height };
  let hasChanged = true;
  while (hasChanged) {
    const hasRemovedRows = removePlainRows(pixels, edges);
    hasChanged = removePlainColumns(pixels, edges) || hasRemovedRows;
  }
  const area = {
    left: edges.left,
    top: edges.top,
    width: edges.right - edges.left,
    height: edges.bottom - edges.top,
  };
  const isTiny = area.width < width * minSide || area.height < height * minSide;
  return isTiny ? { left: 0, top: 0, width, height } : area;
}

/** The first row and column that are left, and the ones after the last. */
interface Edges {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Removes plain rows from the top and the bottom. Returns whether there were any. */
function removePlainRows({ data, width }: Pixels, edges: Edges): boolean {
  const { top, bottom } = edges;
  const isPlain = (row: number) =>
    isPlainLine(data, (row * width + edges.left) * 3, edges.right - edges.left, 3);
  while (edges.top < edges.bottom && isPlain(edges.top)) edges.top++;
  while (edges.bottom > edges.top && isPlain(edges.bottom - 1)) edges.bottom--;
  return edges.top !== top || edges.bottom !== bottom;
}

/** Removes plain columns from the left and the right. Returns whether there were any. */
function removePlainColumns({ data, width }: Pixels, edges: Edges): boolean {
  const { left, right } = edges;
  const isPlain = (column: number) =>
    isPlainLine(data, (edges.top * width + column) * 3, edges.bottom - edges.top, width * 3);
  while (edges.left < edges.right && isPlain(edges.left)) edges.left++;
  while (edges.right > edges.left && isPlain(edges.right - 1)) edges.right--;
  return edges.left !== left || edges.right !== right;
}

/** Whether `count` pixels, the first at `start` and each `step` bytes after the previous one, have the same colour. */
function isPlainLine(data: Uint8Array, start: number, count: number, step: number): boolean {
  let [red, green, blue] = [0, 0, 0];
  const end = start + count * step;
  for (let index = start; index < end; index += step) {
    red += data[index] ?? 0;
    green += data[index + 1] ?? 0;
    blue += data[index + 2] ?? 0;
  }
  const allowed = count * maxDeviating;
  let deviating = 0;
  for (let index = start; index < end; index += step) {
    if (
      largestDifference(data, index, red / count, green / count, blue / count) > maxDeviation &&
      ++deviating > allowed
    )
      return false;
  }
  return true;
}

function largestDifference(
  data: Uint8Array,
  index: number,
  red: number,
  green: number,
  blue: number,
): number {
  return Math.max(
    Math.abs((data[index] ?? 0) - red),
    Math.abs((data[index + 1] ?? 0) - green),
    Math.abs((data[index + 2] ?? 0) - blue),
  );
}
