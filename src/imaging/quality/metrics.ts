import type { Size } from '../geometry.ts';

/** Maximum PSNR. For identical pixels, the formula would yield infinity. */
const maxDecibels = 100;

/**
 * Returns the peak signal-to-noise ratio over red, green and blue of two pictures of the same size, in dB:
 * 10 log₁₀(255² ÷ mean squared error), at most 100.
 */
export function computePsnr(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += ((a[index] ?? 0) - (b[index] ?? 0)) ** 2;
  return sum === 0 ? maxDecibels : Math.min(maxDecibels, 10 * Math.log10(255 ** 2 / (sum / a.length)));
}

const windowSide = 11;
const sigma = 1.5;
const c1 = (0.01 * 255) ** 2;
const c2 = (0.03 * 255) ** 2;

/**
 * Returns the mean structural similarity (SSIM) of two pictures of the same size, computed from their luma (0–255). The
 * maximum is 1, for identical pictures. Only windows entirely inside the picture count. If a side of the picture is
 * shorter than the window, the window is cropped to that side and its weights are normalised.
 * Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity",
 * 2004: Gaussian window of 11 × 11, σ 1.5, K₁ 0.01, K₂ 0.03.
 */
export function computeSsim(a: Float32Array, b: Float32Array, { width, height }: Size): number {
  const horizontalTaps = gaussianTaps(width);
  const verticalTaps = gaussianTaps(height);
  const columns = width - horizontalTaps.length + 1;
  // A ring buffer with one array for each row under the window. Each array contains five sums per column.
  const rows = Array.from({ length: verticalTaps.length }, () => new Float64Array(columns * 5));
  let total = 0;
  for (let y = 0; y < height; y++) {
    sumRow(a, b, y * width, horizontalTaps, rows[y % verticalTaps.length] ?? new Float64Array(0));
    if (y >= verticalTaps.length - 1) total += sumSimilarities(rows, y + 1, verticalTaps, columns);
  }
  return total / (columns * (height - verticalTaps.length + 1));
}

function gaussianTaps(side: number): Float64Array {
  const length = Math.min(windowSide, side);
  const taps = Float64Array.from({ length }, (_, index) =>
    Math.exp(-((index - (length - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

/** Writes the weighted sums of a, b, a², b² and ab along the row at `start` into `sums`. */
function sumRow(
  a: Float32Array,
  b: Float32Array,
  start: number,
  taps: Float64Array,
  sums: Float64Array,
): void {
  for (let index = 0; index < sums.length; index += 5) {
    const first = start + index / 5;
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
    sums[index] = sumA;
    sums[index + 1] = sumB;
    sums[index + 2] = sumAa;
    sums[index + 3] = sumBb;
    sums[index + 4] = sumAb;
  }
}

/** Returns the sum of the similarities of one row of windows. `oldest` is the index of the oldest row in `rows`. */
function sumSimilarities(
  rows: readonly Float64Array[],
  oldest: number,
  taps: Float64Array,
  columns: number,
): number {
  const sums = new Float64Array(columns * 5);
  for (let tap = 0; tap < taps.length; tap++) {
    const weight = taps[tap] ?? 0;
    const row = rows[(oldest + tap) % rows.length] ?? sums;
    for (let index = 0; index < sums.length; index++)
      sums[index] = (sums[index] ?? 0) + weight * (row[index] ?? 0);
  }
  let total = 0;
  for (let index = 0; index < sums.length; index += 5) {
    const [meanA = 0, meanB = 0] = [sums[index], sums[index + 1]];
    const varianceA = (sums[index + 2] ?? 0) - meanA * meanA;
    const varianceB = (sums[index + 3] ?? 0) - meanB * meanB;
    const covariance = (sums[index + 4] ?? 0) - meanA * meanB;
    const numerator = (2 * meanA * meanB + c1) * (2 * covariance + c2);
    total += numerator / ((meanA * meanA + meanB * meanB + c1) * (varianceA + varianceB + c2));
  }
  return total;
}
