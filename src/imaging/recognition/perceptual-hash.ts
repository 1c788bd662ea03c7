/** Width and height of the luma from which a hash is computed. */
export const hashSide = 64;

const frequencies = 16;
/** Smaller coefficients are rounding noise of a picture without structure. */
const noise = 1e-3;
/** Row i contains the cosine of frequency i + 1. Frequency 0, the mean, is omitted: it depends on the exposure. */
const cosines = Float64Array.from({ length: frequencies * hashSide }, (_, at) => {
  const frequency = Math.floor(at / hashSide) + 1;
  const position = at % hashSide;
  return Math.sqrt(2 / hashSide) * Math.cos((Math.PI / 2 / hashSide) * frequency * (2 * position + 1));
});

/** A hash and its quality, as in `Fingerprint`. */
export interface PerceptualHash {
  readonly hash: string;
  readonly quality: number;
}

/**
 * Computes the 256-bit hash of 64 × 64 luma: the discrete cosine transform at frequencies 1 to 16 in both directions,
 * and one bit per coefficient, set if it is above the median.
 * Source: PDQ, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook 2019. Not
 * bit-compatible with other implementations: the picture is downscaled differently, and the bits are in another order.
 */
export function perceptualHashOf(luma: Float32Array): PerceptualHash {
  return { hash: hexOf(bitsOf(coefficientsOf(luma))), quality: qualityOf(luma) };
}

function coefficientsOf(luma: Float32Array): Float64Array {
  // Transforms the rows to an intermediate of 16 × 64, then its columns.
  const intermediate = new Float64Array(frequencies * hashSide);
  for (let row = 0; row < hashSide; row++) {
    for (let u = 0; u < frequencies; u++) {
      let sum = 0;
      for (let x = 0; x < hashSide; x++)
        sum += (cosines[u * hashSide + x] ?? 0) * (luma[row * hashSide + x] ?? 0);
      intermediate[u * hashSide + row] = sum;
    }
  }
  return Float64Array.from({ length: frequencies * frequencies }, (_, at) => {
    const [v, u] = [Math.floor(at / frequencies), at % frequencies];
    let sum = 0;
    for (let y = 0; y < hashSide; y++)
      sum += (cosines[v * hashSide + y] ?? 0) * (intermediate[u * hashSide + y] ?? 0);
    return Math.abs(sum) < noise ? 0 : sum;
  });
}

function bitsOf(coefficients: Float64Array): readonly boolean[] {
  const median = coefficients.toSorted()[coefficients.length / 2 - 1] ?? 0;
  return Array.from(coefficients, (coefficient) => coefficient > median);
}

function hexOf(bits: readonly boolean[]): string {
  let hex = '';
  for (let at = 0; at < bits.length; at += 4) {
    const digit = bits.slice(at, at + 4).reduce((value, bit) => value * 2 + (bit ? 1 : 0), 0);
    hex += digit.toString(16);
  }
  return hex;
}

/** PDQ's quality: the sum of all differences between neighbours, in whole percent of the scale, ÷ 90, at most 100. */
function qualityOf(luma: Float32Array): number {
  let sum = 0;
  const step = (from: number, to: number) => Math.trunc(Math.abs((luma[to] ?? 0) - (luma[from] ?? 0)) / 2.55);
  for (let y = 0; y < hashSide; y++) {
    for (let x = 0; x < hashSide; x++) {
      const at = y * hashSide + x;
      if (x + 1 < hashSide) sum += step(at, at + 1);
      if (y + 1 < hashSide) sum += step(at, at + hashSide);
    }
  }
  return Math.min(100, Math.floor(sum / 90));
}
