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

/** The hash of a frame and of its mirror image, and the quality of both, as in `Fingerprint`. */
export interface PerceptualHash {
  readonly hash: string;
  /** The hash that the frame would have if it were mirrored left to right. */
  readonly mirroredHash: string;
  readonly quality: number;
}

/**
 * Computes the 256-bit hash of 64 × 64 luma values: the discrete cosine transform at frequencies 1 to 16 in both
 * directions, and one bit per coefficient, set if the coefficient is above the median. Mirroring only changes the sign of
 * the coefficients with an odd horizontal frequency, so it needs no second transform.
 * Source: PDQ, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook 2019. The hash is
 * not bit-compatible with other implementations, because the downscaling and the bit order are different.
 */
export function computePerceptualHash(luma: Float32Array): PerceptualHash {
  const coefficients = computeCoefficients(luma);
  return {
    hash: toHex(coefficients),
    mirroredHash: toHex(mirrorCoefficients(coefficients)),
    quality: computeQuality(luma),
  };
}

function computeCoefficients(luma: Float32Array): Float64Array {
  // First transforms the rows, which yields a 16 × 64 intermediate result. Then transforms the columns of that result.
  const intermediate = new Float64Array(frequencyCount * hashSide);
  for (let row = 0; row < hashSide; row++) {
    for (let u = 0; u < frequencyCount; u++)
      intermediate[u * hashSide + row] = dotProduct(cosines, u * hashSide, luma, row * hashSide);
  }
  const coefficients = new Float64Array(frequencyCount * frequencyCount);
  for (let v = 0; v < frequencyCount; v++) {
    for (let u = 0; u < frequencyCount; u++) {
      const sum = dotProduct(cosines, v * hashSide, intermediate, u * hashSide);
      coefficients[v * frequencyCount + u] = Math.abs(sum) < maxNoise ? 0 : sum;
    }
  }
  return coefficients;
}

type Numbers = Float32Array | Float64Array;

/** Multiplies 64 numbers of each array, from the given offsets, and adds the products. */
function dotProduct(a: Numbers, offsetA: number, b: Numbers, offsetB: number): number {
  let sum = 0;
  for (let index = 0; index < hashSide; index++) sum += (a[offsetA + index] ?? 0) * (b[offsetB + index] ?? 0);
  return sum;
}

/** Negates the coefficients with an odd horizontal frequency. Column 0 contains frequency 1. */
function mirrorCoefficients(coefficients: Float64Array): Float64Array {
  return coefficients.map((value, index) => (index % 2 === 0 ? -value : value));
}

/** Returns the bits of the coefficients, which are set above the median, as hexadecimal digits. */
function toHex(coefficients: Float64Array): string {
  const median = coefficients.toSorted()[coefficients.length / 2 - 1] ?? 0;
  let hex = '';
  for (let index = 0; index < coefficients.length; index += 4) {
    let digit = 0;
    for (let bit = 0; bit < 4; bit++) digit = digit * 2 + ((coefficients[index + bit] ?? 0) > median ? 1 : 0);
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
