/** Width and height of the luma from which a hash is computed. */
export const hashSide = 64;

const frequencyCount = 16;
/** Coefficients with a smaller magnitude count as 0. In a picture without structure, they are only rounding noise. */
const maxNoise = 1e-3;
/**
 * Row i contains the cosine of frequency i + 1. Frequency 0, the mean, is omitted because it depends on the exposure.
 */
const cosines = Float64Array.from({ length: frequencyCount * hashSide }, (_, index) => {
  const frequency = Math.floor(index / hashSide) + 1;
  const position = index % hashSide;
  return Math.sqrt(2 / hashSide) * Math.cos((Math.PI / 2 / hashSide) * frequency * (2 * position + 1));
});

/** A hash and its quality, as in `Fingerprint`. */
export interface PerceptualHash {
  readonly hash: string;
  readonly quality: number;
}

/**
 * Computes the 256-bit hash of 64 × 64 luma values: the discrete cosine transform at frequencies 1 to 16 in both
 * directions, and one bit per coefficient, set if the coefficient is above the median.
 * Source: PDQ, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook 2019. The hash is
 * not bit-compatible with other implementations, because the downscaling and the bit order are different.
 */
export function computePerceptualHash(luma: Float32Array): PerceptualHash {
  return { hash: toHex(toBits(computeCoefficients(luma))), quality: computeQuality(luma) };
}

function computeCoefficients(luma: Float32Array): Float64Array {
  // First transforms the rows, which yields a 16 × 64 intermediate result. Then transforms the columns of that result.
  const intermediate = new Float64Array(frequencyCount * hashSide);
  for (let row = 0; row < hashSide; row++) {
    for (let u = 0; u < frequencyCount; u++) {
      let sum = 0;
      for (let x = 0; x < hashSide; x++)
        sum += (cosines[u * hashSide + x] ?? 0) * (luma[row * hashSide + x] ?? 0);
      intermediate[u * hashSide + row] = sum;
    }
  }
  return Float64Array.from({ length: frequencyCount * frequencyCount }, (_, index) => {
    const [v, u] = [Math.floor(index / frequencyCount), index % frequencyCount];
    let sum = 0;
    for (let y = 0; y < hashSide; y++)
      sum += (cosines[v * hashSide + y] ?? 0) * (intermediate[u * hashSide + y] ?? 0);
    return Math.abs(sum) < maxNoise ? 0 : sum;
  });
}

function toBits(coefficients: Float64Array): readonly boolean[] {
  const median = coefficients.toSorted()[coefficients.length / 2 - 1] ?? 0;
  return Array.from(coefficients, (coefficient) => coefficient > median);
}

function toHex(bits: readonly boolean[]): string {
  let hex = '';
  for (let index = 0; index < bits.length; index += 4) {
    const digit = bits.slice(index, index + 4).reduce((value, bit) => value * 2 + (bit ? 1 : 0), 0);
    hex += digit.toString(16);
  }
  return hex;
}

/** Returns PDQ's quality: the sum of the differences between adjacent pixels, in whole percent, ÷ 90; at most 100. */
function computeQuality(luma: Float32Array): number {
  let sum = 0;
  const difference = (from: number, to: number) =>
    Math.trunc(Math.abs((luma[to] ?? 0) - (luma[from] ?? 0)) / 2.55);
  for (let y = 0; y < hashSide; y++) {
    for (let x = 0; x < hashSide; x++) {
      const index = y * hashSide + x;
      if (x + 1 < hashSide) sum += difference(index, index + 1);
      if (y + 1 < hashSide) sum += difference(index, index + hashSide);
    }
  }
  return Math.min(100, Math.floor(sum / 90));
}
