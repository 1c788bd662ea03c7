/** Version of the fingerprint. Increment it with every change that gives the same picture a different fingerprint. */
export const fingerprintVersion: number = 2;

/** Versions whose hash of the full frame is computed in the same way. Version 1 has no hashes of other frames. */
export const comparableVersions: readonly number[] = [1, 2];

/** Width and height of the thumbnail in a fingerprint, in pixels. */
export const thumbnailSide = 32;

/** Name of the built-in embedding space. Rename it with every change that gives the same picture a different vector. */
export const embeddingSpace = 'classic-3';

/** Number of dimensions of the built-in embedding. */
export const embeddingDimension = 512;

/** The set of all embeddings that can be compared with each other. */
export interface EmbeddingSpace {
  readonly name: string;
  /** Number of dimensions. */
  readonly dimension: number;
}

/** The space of the built-in embedding. */
export const builtInSpace: EmbeddingSpace = { name: embeddingSpace, dimension: embeddingDimension };

/**
 * The part of a picture that a hash describes: the whole picture; the picture without its plain edges; its centre. The position in
 * this list is stored, so the order never changes. If the hash of a frame is computed differently, the new hash is a new frame.
 */
export const hashFrames = ['full', 'content', 'core'] as const;

/** @see hashFrames */
export type HashFrame = (typeof hashFrames)[number];

/** The perceptual hash of a frame: 256 bits as 64 hexadecimal digits, as in `Fingerprint`. */
export interface FrameHash {
  readonly frame: HashFrame;
  readonly hash: string;
}

/** The part of a fingerprint that is returned by a search. */
export interface StoredFingerprint {
  /** The `fingerprintVersion` that computed this fingerprint. */
  readonly version: number;
  /**
   * Perceptual hash of the full frame: 256 bits as 64 lower-case hex digits. The first digit contains bits 0 to 3, with bit 0 as the most
   * significant bit.
   */
  readonly hash: string;
  /** Amount of structure in the picture, from 0 (featureless) to 100. Below 50, the hash alone is not reliable. */
  readonly quality: number;
  /** Width ÷ height of the upright picture. */
  readonly aspect: number;
  /**
   * The whole picture scaled to 32 × 32 pixels, for comparing colours. Contains 32 × 32 × 3 bytes in base64, row by row from
   * the top. The three bytes of a pixel are its CIE L*a*b* values (D65), encoded as L* × 2.55, a* + 128 and b* + 128, and
   * rounded.
   */
  readonly thumbnail: string;
}

/** Data that identifies a picture regardless of its size, format and compression. */
export interface Fingerprint extends StoredFingerprint {
  /** The hashes by which the picture is found. Frames with too little structure have none. */
  readonly frameHashes: readonly FrameHash[];
  /**
   * Further hashes to search for, which are not stored: those that the stored picture would have if this one were its mirror image
   * or a crop of it, or the other way round.
   */
  readonly probes: readonly FrameHash[];
}

/** A picture represented as a vector. The dot product of two vectors is close to 1 if the pictures are similar. */
export interface Embedding {
  /** Name of the embedding space, such as `classic-3`. Embeddings in different spaces cannot be compared. */
  readonly space: string;
  /** Unit vector, apart from rounding errors. */
  readonly vector: readonly number[];
}

const hexDigits = 64;

/**
 * Returns the distance between two hashes on the 0–64 scale that is common for 64-bit hashes. The distance is a quarter of
 * the number of differing bits, rounded up so that only identical hashes have distance 0.
 */
export function hashDistance(a: string, b: string): number {
  return Math.ceil(differingBits(a, b) / 4);
}

/** Returns the number of bits in which two hashes differ, 0 to 256. */
export function differingBits(a: string, b: string): number {
  let count = 0;
  for (let start = 0; start < hexDigits; start += 8) {
    const end = start + 8;
    count += popCount(Number.parseInt(a.slice(start, end), 16) ^ Number.parseInt(b.slice(start, end), 16));
  }
  return count;
}

/** Returns the number of 1 bits in a 32-bit word. Source: Warren, "Hacker's Delight", section 5-1. */
function popCount(word: number): number {
  let sum = word - ((word >>> 1) & 0x55555555);
  sum = (sum & 0x33333333) + ((sum >>> 2) & 0x33333333);
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
