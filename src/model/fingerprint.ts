/** Version of the fingerprint: raised whenever the same picture would give another one. */
export const fingerprintVersion: number = 1;

/** Width and height of the thumbnail in a fingerprint, in pixels. */
export const thumbnailSide = 32;

/** Space of the built-in embedding: a new name whenever the same picture would give another vector. */
export const embeddingSpace = 'classic-2';

/** Numbers in a vector of the built-in embedding. */
export const embeddingDimension = 512;

/** What a picture is recognised by, whatever its size, format and compression. */
export interface Fingerprint {
  /** `fingerprintVersion` when it was made; fingerprints of different versions are not comparable. */
  readonly version: number;
  /** 256 bits as 64 lower-case hex digits; the first digit holds bits 0 to 3, highest first. */
  readonly hash: string;
  /** 0–100: how much structure the hash stands on. Below 50 a hash alone means little; 0 is a featureless picture. */
  readonly quality: number;
  /** Width ÷ height of the upright picture. */
  readonly aspect: number;
  /**
   * The whole frame squeezed to 32 × 32 pixels, for the colour-aware check: base64 of 32 × 32 × 3 bytes, rows from
   * top to bottom. Each pixel is CIE L*a*b* (D65): L* × 2.55, a* + 128, b* + 128, rounded.
   */
  readonly thumbnail: string;
}

/** A picture as a point in a space where similar pictures lie close together: the nearer their dot product is to 1. */
export interface Embedding {
  /** Name of the space, such as `classic-2`; only embeddings of one space are comparable. */
  readonly space: string;
  /** Of length 1, within rounding. */
  readonly vector: readonly number[];
}

const hexDigits = 64;
const bandCount = 16;

/**
 * Distance of two hashes on the 64-bit scale, 0–64: a quarter of the bits that differ, rounded up, so that 0 means
 * identical bits.
 */
export function hashDistance(a: string, b: string): number {
  let bits = 0;
  for (let at = 0; at < hexDigits; at += 8) {
    bits += onesIn(Number.parseInt(a.slice(at, at + 8), 16) ^ Number.parseInt(b.slice(at, at + 8), 16));
  }
  return Math.ceil(bits / 4);
}

/** Number of ones in 32 bits. Algorithm: Warren, "Hacker's Delight", 5-1 (sums of ever wider fields). */
function onesIn(word: number): number {
  let sum = word - ((word >>> 1) & 0x55555555);
  sum = (sum & 0x33333333) + ((sum >>> 2) & 0x33333333);
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/**
 * Keys for an index of hashes: 16 numbers, `band << 16 | 16 bits`. Bit i goes to band i mod 16, because neighbouring
 * bits depend on each other. Hashes that differ in at most 15 bits share at least one key (pigeonhole principle).
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
