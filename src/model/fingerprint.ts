/** Version of the fingerprint. Incremented whenever the same picture would yield a different fingerprint. */
export const fingerprintVersion: number = 1;

/** Width and height of the thumbnail in a fingerprint, in pixels. */
export const thumbnailSide = 32;

/** Name of the built-in embedding space. Changed whenever the same picture would yield a different vector. */
export const embeddingSpace = 'classic-2';

/** Number of dimensions of the built-in embedding. */
export const embeddingDimension = 512;

/** Data that identifies a picture regardless of its size, format and compression. */
export interface Fingerprint {
  /** The `fingerprintVersion` that it was computed with. Fingerprints of different versions are not comparable. */
  readonly version: number;
  /**
   * Perceptual hash: 256 bits as 64 lower-case hex digits. The first digit contains bits 0 to 3, bit 0 as the highest.
   */
  readonly hash: string;
  /** Amount of structure in the picture, 0–100; 0 if it is featureless. Below 50, the hash alone means little. */
  readonly quality: number;
  /** Width ÷ height of the upright picture. */
  readonly aspect: number;
  /**
   * The whole picture scaled to 32 × 32 pixels, for comparing colours: base64 of 32 × 32 × 3 bytes, rows from top to
   * bottom. Each pixel is CIE L*a*b* (D65): L* × 2.55, a* + 128, b* + 128, rounded.
   */
  readonly thumbnail: string;
}

/** A picture as a vector. The dot product of two vectors is close to 1 if the pictures are similar. */
export interface Embedding {
  /** Name of the space, such as `classic-2`. Embeddings of different spaces are not comparable. */
  readonly space: string;
  /** Unit vector, apart from rounding. */
  readonly vector: readonly number[];
}

const hexDigits = 64;
const bandCount = 16;

/**
 * Returns the distance between two hashes, on the 0–64 scale of 64-bit hashes: a quarter of the number of differing
 * bits, rounded up so that only identical hashes have distance 0.
 */
export function hashDistance(a: string, b: string): number {
  let bits = 0;
  for (let start = 0; start < hexDigits; start += 8) {
    const end = start + 8;
    bits += popCount(Number.parseInt(a.slice(start, end), 16) ^ Number.parseInt(b.slice(start, end), 16));
  }
  return Math.ceil(bits / 4);
}

/** Returns the number of ones in a 32-bit word. Source: Warren, "Hacker's Delight", section 5-1. */
function popCount(word: number): number {
  let sum = word - ((word >>> 1) & 0x55555555);
  sum = (sum & 0x33333333) + ((sum >>> 2) & 0x33333333);
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/**
 * Returns the index keys of a hash: 16 numbers, each `band << 16 | 16 bits`. Bit i belongs to band i mod 16, because
 * adjacent bits are correlated. Hashes that differ in at most 15 bits share at least one key (pigeonhole principle).
 */
export function hashBands(hash: string): number[] {
  const bands = Array.from({ length: bandCount }, (_, band) => band << 16);
  for (let bit = 0; bit < hexDigits * 4; bit++) {
    const digit = Number.parseInt(hash.charAt(bit >> 2), 16);
    const band = bit % bandCount;
    bands[band] = (bands[band] ?? 0) | (((digit >> (3 - (bit & 3))) & 1) << (bit >> 4));
  }
  return bands;
}
