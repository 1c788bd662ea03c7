import { lumaOf } from '../colour/luma-and-lab.ts';
import type { Pixels } from '../decoding/pixels.ts';
import type { Size } from '../geometry.ts';

/** PSNR of identical pixels, for which the formula yields infinity. */
const maxDecibels = 100;

/**
 * Returns the peak signal-to-noise ratio over red, green and blue of two pictures of the same size, in dB:
 * 10 log₁₀(255² ÷ mean squared error), at most 100.
 */
export function psnrOf(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += ((a[at] ?? 0) - (b[at] ?? 0)) ** 2;
  return sum === 0 ? maxDecibels : Math.min(maxDecibels, 10 * Math.log10(255 ** 2 / (sum / a.length)));
}

/** Returns the SSIM of two pictures of the same size; see `ssimOf`. */
export function ssimOfPixels(a: Pixels, b: Pixels): number {
  return ssimOf(lumaOf(a.data), lumaOf(b.data), a);
}

const windowSide = 11;
const deviation = 1.5;
const c1 = (0.01 * 255) ** 2;
const c2 = (0.03 * 255) ** 2;

/**
 * Returns the mean structural similarity of two pictures of the same size, from their luma (0–255): at most 1, for
 * identical pictures. Only windows that lie entirely inside the picture count. If a side of the picture is shorter than
 * the window, the window is cropped to it and its weights are normalised.
 * Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity",
 * 2004: Gaussian window of 11 × 11, σ 1.5, K₁ 0.01, K₂ 0.03.
 */
export function ssimOf(a: Float32Array, b: Float32Array, { width, height }: Size): number {
  const across = gaussianTaps(width);
  const down = gaussianTaps(height);
  const columns = width - across.length + 1;
  // A ring buffer of the row sums under the window: five per column.
  const rows = Array.from({ length: down.length }, () => new Float64Array(columns * 5));
  let total = 0;
  for (let y = 0; y < height; y++) {
    sumAcross(a, b, y * width, across, rows[y % down.length] ?? new Float64Array(0));
    if (y >= down.length - 1) total += similarityAt(rows, y + 1, down, columns);
  }
  return total / (columns * (height - down.length + 1));
}

function gaussianTaps(side: number): Float64Array {
  const length = Math.min(windowSide, side);
  const taps = Float64Array.from({ length }, (_, at) =>
    Math.exp(-((at - (length - 1) / 2) ** 2) / (2 * deviation ** 2)),
  );
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

/** Writes the weighted sums of a, b, a², b² and ab along the row at `start` into `sums`. */
function sumAcross(
  a: Float32Array,
  b: Float32Array,
  start: number,
  taps: Float64Array,
  sums: Float64Array,
): void {
  for (let at = 0; at < sums.length; at += 5) {
    const first = start + at / 5;
    let [sumA, sumB, sumAa, sumBb, sumAb] = [0, 0, 0, 0, 0];
    for (let tap = 0; tap < taps.length; tap++) {
      const weight = taps[tap] ?? 0;
      const valueA = a[first + tap] ?? 0;
      const valueB = b[first + tap] ?? 0;
      sumA += weight * valueA;
      sumB += weight * valueB;
      sumAa += weight * valueA * valueA;
      sumBb += weight * valueB * valueB;
      sumAb += weight * valueA * valueB;
    }
    sums[at] = sumA;
    sums[at + 1] = sumB;
    sums[at + 2] = sumAa;
    sums[at + 3] = sumBb;
    sums[at + 4] = sumAb;
  }
}

/** Returns the sum of the similarities of one row of windows. `oldest` is the number of the oldest row in the ring. */
function similarityAt(
  rows: readonly Float64Array[],
  oldest: number,
  taps: Float64Array,
  columns: number,
): number {
  const sums = new Float64Array(columns * 5);
  for (let tap = 0; tap < taps.length; tap++) {
    const weight = taps[tap] ?? 0;
    const row = rows[(oldest + tap) % rows.length] ?? sums;
    for (let at = 0; at < sums.length; at++) sums[at] = (sums[at] ?? 0) + weight * (row[at] ?? 0);
  }
  let total = 0;
  for (let at = 0; at < sums.length; at += 5) {
    const [meanA = 0, meanB = 0] = [sums[at], sums[at + 1]];
    const varianceA = (sums[at + 2] ?? 0) - meanA * meanA;
    const varianceB = (sums[at + 3] ?? 0) - meanB * meanB;
    const covariance = (sums[at + 4] ?? 0) - meanA * meanB;
    const numerator = (2 * meanA * meanB + c1) * (2 * covariance + c2);
    total += numerator / ((meanA * meanA + meanB * meanB + c1) * (varianceA + varianceB + c2));
  }
  return total;
}
