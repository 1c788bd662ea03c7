import type { BorderFacts } from '../../model/intake-facts.ts';
import type { Pixels } from '../decoding/pixels.ts';

/** Largest difference of a channel from the colour of a frame. Compression moves colours about this much. */
const colourTolerance = 16;
/** Fraction of a line that must have the frame's colour. */
const minUniformShare = 0.96;
/** Fraction of the line inside a frame that must differ from it, since a frame ends on a straight line. */
const minEdgeShare = 0.85;
/** Widest band, as a fraction of the side, that counts as part of a frame: for bars on one to three sides, and all around. */
const maxBarWidth = 0.4;
const maxFrameWidth = 0.12;
/** Lines between a frame and what it surrounds, which resizing or compression may have blended. */
const blendedLines = 6;
/** A line is sampled at about this many points. */
const pointsPerLine = 100;
const minSide = 16;

const noBorders: BorderFacts = { left: 0, top: 0, right: 0, bottom: 0 };

type Colour = readonly [number, number, number];

/** One side of a picture, as lines from the outside inwards. */
interface Side {
  readonly name: keyof BorderFacts;
  /** Number of lines, and of pixels in each. */
  readonly lines: number;
  readonly length: number;
  /** Offset in the data of the first pixel, and the steps to the next line and to the next pixel. */
  readonly start: number;
  readonly lineStep: number;
  readonly pixelStep: number;
}

/** A band of uniform colour at one side, in lines. */
interface Band {
  readonly side: Side;
  readonly colour: Colour;
  readonly depth: number;
}

/**
 * Finds a frame of uniform colour: bands that end on a straight line along the whole side. The margin around a product is not
 * a frame, as it ends where the product happens to begin. What surrounds a plain rectangle on white is taken for a
 * background, and so is a band all around that is wider than 12 %.
 */
export function measureBorders(pixels: Pixels): BorderFacts {
  if (Math.min(pixels.width, pixels.height) < minSide) return noBorders;
  const bands = listSides(pixels).map((side) => measureBand(pixels, side));
  const frame = keepStraightBands(
    pixels,
    bands.filter(({ depth }) => depth > 0),
  );
  if (frame.length === 0) return noBorders;
  if (frame.length === bands.length && isBackground(pixels, frame)) return noBorders;
  return {
    ...noBorders,
    ...Object.fromEntries(frame.map(({ side, depth }) => [side.name, depth / side.lines])),
  };
}

/**
 * Returns the bands that end on a straight line between the adjacent bands. If one of them is only a margin, others may no
 * longer reach far enough, so the search is repeated with those that are left.
 */
function keepStraightBands(pixels: Pixels, bands: readonly Band[]): readonly Band[] {
  const straightBands = bands.flatMap((band) => {
    const depth = findStraightEnd(pixels, band, toDepths(bands));
    return depth === undefined ? [] : [{ ...band, depth }];
  });
  return straightBands.length === bands.length ? straightBands : keepStraightBands(pixels, straightBands);
}

type Depths = Readonly<Partial<Record<keyof BorderFacts, number>>>;

function toDepths(bands: readonly Band[]): Depths {
  return Object.fromEntries(bands.map(({ side, depth }) => [side.name, depth]));
}

function listSides({ width, height }: Pixels): readonly Side[] {
  const row = width * 3;
  const vertical = { lines: width, length: height, pixelStep: row };
  const horizontal = { lines: height, length: width, pixelStep: 3 };
  return [
    { name: 'left', ...vertical, start: 0, lineStep: 3 },
    { name: 'top', ...horizontal, start: 0, lineStep: row },
    { name: 'right', ...vertical, start: row - 3, lineStep: -3 },
    { name: 'bottom', ...horizontal, start: (height - 1) * row, lineStep: -row },
  ];
}

function measureBand({ data }: Pixels, side: Side): Band {
  const colour = meanColour(data, side);
  const limit = Math.floor(side.lines * maxBarWidth);
  let depth = 0;
  while (depth <= limit && countDifferent(data, side, depth, colour) <= 1 - minUniformShare) depth++;
  // A band without an end is a background.
  return { side, colour, depth: depth > limit ? 0 : depth };
}

/** Returns the mean colour of the outermost line. */
function meanColour(data: Uint8Array, { start, length, pixelStep }: Side): Colour {
  const sums: [number, number, number] = [0, 0, 0];
  for (let index = 0; index < length; index++) {
    const offset = start + index * pixelStep;
    sums[0] += data[offset] ?? 0;
    sums[1] += data[offset + 1] ?? 0;
    sums[2] += data[offset + 2] ?? 0;
  }
  return [sums[0] / length, sums[1] / length, sums[2] / length];
}

/** Returns the fraction of a line, or of its part from `from` to `to`, that differs from `colour`. */
function countDifferent(
  data: Uint8Array,
  { start, length, lineStep, pixelStep }: Side,
  line: number,
  [red, green, blue]: Colour,
  from = 0,
  to = length,
): number {
  const step = Math.max(1, Math.floor((to - from) / pointsPerLine));
  let different = 0;
  let points = 0;
  for (let index = from; index < to; index += step, points++) {
    const offset = start + line * lineStep + index * pixelStep;
    const isDifferent =
      Math.abs((data[offset] ?? 0) - red) > colourTolerance ||
      Math.abs((data[offset + 1] ?? 0) - green) > colourTolerance ||
      Math.abs((data[offset + 2] ?? 0) - blue) > colourTolerance;
    if (isDifferent) different++;
  }
  return points > 0 ? different / points : 0;
}

/** Returns the part of a side's lines between the bands of the two adjacent sides. */
function innerPart({ name, length }: Side, depths: Depths): readonly [number, number] {
  const isVertical = name === 'left' || name === 'right';
  const before = depths[isVertical ? 'top' : 'left'] ?? 0;
  const after = depths[isVertical ? 'bottom' : 'right'] ?? 0;
  return [before + blendedLines, length - after - blendedLines];
}

/** Returns the first line that differs from the band nearly everywhere; `undefined` if the band does not end on a line. */
function findStraightEnd(
  { data }: Pixels,
  { side, colour, depth }: Band,
  depths: Depths,
): number | undefined {
  const [from, to] = innerPart(side, depths);
  if (to - from < minSide / 2) return undefined;
  for (let line = depth; line <= depth + blendedLines; line++)
    if (countDifferent(data, side, line, colour, from, to) >= minEdgeShare) return line;
  return undefined;
}

/** Returns whether bands on all four sides are the background of a product whose outline is a rectangle. */
function isBackground({ data }: Pixels, bands: readonly Band[]): boolean {
  if (bands.some(({ side, depth }) => depth > side.lines * maxFrameWidth)) return true;
  const depths = toDepths(bands);
  const isWhite = bands.every(({ colour }) => Math.min(...colour) >= 255 - colourTolerance / 2);
  return isWhite && bands.every(({ side, depth }) => isUniform(data, side, depth + 2, depths));
}

function isUniform(data: Uint8Array, side: Side, line: number, depths: Depths): boolean {
  const [from, to] = innerPart(side, depths);
  const offset = side.start + line * side.lineStep + ((from + to) >> 1) * side.pixelStep;
  const colour: Colour = [data[offset] ?? 0, data[offset + 1] ?? 0, data[offset + 2] ?? 0];
  return countDifferent(data, side, line, colour, from, to) <= 1 - minEdgeShare;
}
