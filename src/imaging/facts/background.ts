import type { BackgroundFacts } from '../../model/intake-facts.ts';
import { toLab } from '../colour/luma-and-lab.ts';
import type { Pixels } from '../decoding/pixels.ts';

/** The border is as wide as 0.5 % of the shorter side, and at least one pixel. */
const borderFraction = 1 / 200;
const maxWhiteDifference = 2;
const maxPlainDifference = 4;
/** Fraction of the border that must have the colour. The rest may be a product that reaches the edge. */
const minShare = 0.8;

/** A background colour, and how far other colours are from it. */
export interface Background {
  readonly facts: BackgroundFacts;
  /** Squared difference (ΔE) from the background colour. Exact nearby, and large far away. */
  readonly squaredDifference: (red: number, green: number, blue: number) => number;
}

/**
 * Judges the background of a picture by its border.
 * @param overview a copy at the description size, in whose border compression noise is averaged out
 * @param detail the largest available copy. Its border is as exact as the file if it has the size of the picture.
 */
export function measureBackground(overview: Pixels, detail: Pixels): Background {
  const color = medianBorderColour(overview);
  const squaredDifference = makeSquaredDifference(color);
  const whiteShare = measureWhiteShare(detail);
  const plainShare = measurePlainShare(overview, squaredDifference);
  const kind = whiteShare >= minShare ? 'white' : plainShare >= minShare ? 'plain' : 'mixed';
  const hex = `#${color.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
  return { facts: { kind, color: hex, whiteShare, plainShare }, squaredDifference };
}

function borderWidth({ width, height }: Pixels): number {
  return Math.max(1, Math.round(Math.min(width, height) * borderFraction));
}

/** Calls `visit` with each horizontal run of border pixels: the number of its first pixel, and its length. */
function forEachBorderSpan(pixels: Pixels, visit: (start: number, count: number) => void): void {
  const { width, height } = pixels;
  const border = borderWidth(pixels);
  for (let y = 0; y < height; y++) {
    const isWhole = y < border || y >= height - border || 2 * border >= width;
    if (isWhole) visit(y * width, width);
    else {
      visit(y * width, border);
      visit((y + 1) * width - border, border);
    }
  }
}

function medianBorderColour(pixels: Pixels): readonly number[] {
  const { data } = pixels;
  const counts = [0, 1, 2].map(() => new Uint32Array(256));
  const [reds, greens, blues] = counts as [Uint32Array, Uint32Array, Uint32Array];
  let total = 0;
  forEachBorderSpan(pixels, (start, count) => {
    total += count;
    const end = (start + count) * 3;
    for (let index = start * 3; index < end; index += 3) {
      const red = data[index] ?? 0;
      const green = data[index + 1] ?? 0;
      const blue = data[index + 2] ?? 0;
      reds[red] = (reds[red] ?? 0) + 1;
      greens[green] = (greens[green] ?? 0) + 1;
      blues[blue] = (blues[blue] ?? 0) + 1;
    }
  });
  return counts.map((channel) => {
    let remaining = total / 2;
    return channel.findIndex((count) => (remaining -= count) <= 0);
  });
}

function measurePlainShare(pixels: Pixels, squaredDifference: Background['squaredDifference']): number {
  const { data } = pixels;
  let plain = 0;
  let total = 0;
  forEachBorderSpan(pixels, (start, count) => {
    total += count;
    const end = (start + count) * 3;
    for (let index = start * 3; index < end; index += 3) {
      const difference = squaredDifference(data[index] ?? 0, data[index + 1] ?? 0, data[index + 2] ?? 0);
      if (difference <= maxPlainDifference ** 2) plain++;
    }
  });
  return plain / total;
}

/** No colour with a channel below this value is within ΔE 2 of white. */
const minNearWhite = 240;
const nearWhiteSteps = 256 - minNearWhite;

/** For each colour from (240, 240, 240) to white: 1 if it is within ΔE 2 of white. */
const nearWhites = Uint8Array.from({ length: nearWhiteSteps ** 3 }, (_, index) => {
  const [red, green, blue] = [index >> 8, (index >> 4) & 15, index & 15];
  const colour = [minNearWhite + red, minNearWhite + green, minNearWhite + blue];
  const [l = 0, a = 0, b = 0, whiteL = 0, whiteA = 0, whiteB = 0] = toLab(
    Uint8Array.of(...colour, 255, 255, 255),
  );
  return Math.hypot(l - whiteL, a - whiteA, b - whiteB) <= maxWhiteDifference ? 1 : 0;
});

/** Returns the fraction of the border that is white, from every border pixel. */
function measureWhiteShare(pixels: Pixels): number {
  const { data } = pixels;
  let white = 0;
  let total = 0;
  forEachBorderSpan(pixels, (start, count) => {
    total += count;
    const end = (start + count) * 3;
    for (let index = start * 3; index < end; index += 3) {
      const red = (data[index] ?? 0) - minNearWhite;
      const green = (data[index + 1] ?? 0) - minNearWhite;
      const blue = (data[index + 2] ?? 0) - minNearWhite;
      if (red >= 0 && green >= 0 && blue >= 0) white += nearWhites[(red << 8) | (green << 4) | blue] ?? 0;
    }
  });
  return white / total;
}

/** Step, in levels of a channel, over which the slope of L*a*b* is measured. */
const slopeStep = 4;

/**
 * Returns a function for the squared ΔE from `color`. L*a*b* is replaced by its slope at this colour, because a conversion
 * of each pixel would take ten times as long.
 */
function makeSquaredDifference(color: readonly number[]): Background['squaredDifference'] {
  const [red0 = 0, green0 = 0, blue0 = 0] = color;
  const base = toLab(Uint8Array.from(color));
  const slopes = [0, 1, 2].map((channel) => {
    const step = (color[channel] ?? 0) > 127 ? -slopeStep : slopeStep;
    const lab = toLab(Uint8Array.from(color, (value, index) => (index === channel ? value + step : value)));
    return lab.map((value, index) => (value - (base[index] ?? 0)) / step);
  });
  const product = (i: number, j: number) =>
    [0, 1, 2].reduce((sum, k) => sum + (slopes[i]?.[k] ?? 0) * (slopes[j]?.[k] ?? 0), 0);
  const [rr, gg, bb] = [product(0, 0), product(1, 1), product(2, 2)];
  const [rg, rb, gb] = [2 * product(0, 1), 2 * product(0, 2), 2 * product(1, 2)];
  return (red, green, blue) => {
    const r = red - red0;
    const g = green - green0;
    const b = blue - blue0;
    return r * (rr * r + rg * g + rb * b) + g * (gg * g + gb * b) + bb * b * b;
  };
}
