/** Version of the fingerprint. Raised whenever the same picture would yield a different one. */
export const fingerprintVersion: number = 1;

/** Width and height of the thumbnail in a fingerprint, in pixels. */
export const thumbnailSide = 32;

/** Space of the built-in embedding. Renamed whenever the same picture would yield a different vector. */
export const embeddingSpace = 'classic-2';

/** Number of dimensions of the built-in embedding. */
export const embeddingDimension = 512;

/** Data by which a picture is recognised, regardless of its size, format and compression. */
export interface Fingerprint {
  /** `fingerprintVersion` at the time of computation. Fingerprints of different versions are not comparable. */
  readonly version: number;
  /** 256 bits as 64 lower-case hex digits. The first digit contains bits 0 to 3, highest first. */
  readonly hash: string;
  /** 0–100: amount of structure in the picture; 0 if it is featureless. Below 50, the hash alone means little. */
  readonly quality: number;
  /** Width ÷ height of the upright picture. */
  readonly aspect: number;
  /**
   * The whole picture scaled to 32 × 32 pixels, for the comparison of colours: base64 of 32 × 32 × 3 bytes, rows from
   * top to bottom. Each pixel is CIE L*a*b* (D65): L* × 2.55, a* + 128, b* + 128, rounded.
   */
  readonly thumbnail: string;
}

/** A picture as a vector. The dot product of two vectors is close to 1 if the pictures are similar. */
export interface Embedding {
  /** Name of the space, such as `classic-2`. Embeddings of different spaces are not comparable. */
  readonly space: string;
  /** Has length 1, apart from rounding. */
  readonly vector: readonly number[];
}

const hexDigits = 64;
const bandCount = 16;

/**
 * Returns the distance of two hashes on the scale of 64-bit hashes, 0–64: a quarter of the differing bits, rounded up,
 * so that 0 means identical hashes.
 */
export function hashDistance(a: string, b: string): number {
  let bits = 0;
  for (let at = 0; at < hexDigits; at += 8) {
    bits += onesIn(Number.parseInt(a.slice(at, at + 8), 16) ^ Number.parseInt(b.slice(at, at + 8), 16));
  }
  return Math.ceil(bits / 4);
}

/** Returns the number of ones in 32 bits. Source: Warren, "Hacker's Delight", 5-1 (sums of ever wider fields). */
function onesIn(word: number): number {
  let sum = word - ((word >>> 1) & 0x55555555);
  sum = (sum & 0x33333333) + ((sum >>> 2) & 0x33333333);
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/**
 * Returns the keys of a hash for an index: 16 numbers, `band << 16 | 16 bits`. Bit i belongs to band i mod 16, because
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
