import { type FrameHash, hashFrames } from '../../model/fingerprint.ts';

const bitCount = 256;

/** Number of bands into which a hash is divided. */
export const bandCount = 12;

/** Number of bits in the widest band. The last bands have one bit less. */
const bandWidth = Math.ceil(bitCount / bandCount);

/** Maps each bit to its band. Bits of one row or column of the hash are correlated, so they are spread diagonally. */
const bandOfBit = Array.from({ length: bitCount }, (_, bit) => (bit + (bit >> 4)) % bandCount);

/** Maps each bit to its place in its band. */
const placeOfBit = bandOfBit.map(
  (band, bit) => bandOfBit.slice(0, bit).filter((other) => other === band).length,
);

/**
 * Returns a hash's index keys: for each band, the tenant, the frame and the bits of the band. Because of the tenant, a search
 * reads only this tenant's index entries.
 */
export function bandKeys(tenantId: number, { frame, hash }: FrameHash): number[] {
  const bands = new Int32Array(bandCount);
  for (let bit = 0; bit < bitCount; bit++) {
    const digit = hexValue(hash.charCodeAt(bit >> 2));
    if ((digit >> (3 - (bit & 3))) & 1) {
      const band = bandOfBit[bit] ?? 0;
      bands[band] = (bands[band] ?? 0) | (1 << (placeOfBit[bit] ?? 0));
    }
  }
  const prefix = tenantId * 2 ** 24 + hashFrames.indexOf(frame) * 2 ** bandWidth;
  return Array.from(bands, (bits) => prefix + bits);
}

/** Returns the value of a lower-case hexadecimal digit. */
function hexValue(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

/**
 * Returns the number of bits in which each band may differ so that a search of the bands finds all hashes that differ in at
 * most `maxBits`; -1 if a band need not be searched. If all bands differed in more bits, the hashes would differ in more
 * than `maxBits`.
 * Source: Norouzi, Punjani, Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing", 2014, section 3.2.
 */
export function bandRadii(maxBits: number): number[] {
  const radius = Math.floor(maxBits / bandCount);
  const widerBands = maxBits - radius * bandCount + 1;
  return Array.from({ length: bandCount }, (_, band) => (band < widerBands ? radius : radius - 1));
}

const maskLists = new Map<number, readonly number[]>();

/** Returns all masks with at most `radius` of the bits of a band; none for a negative radius. */
function masksWithin(radius: number): readonly number[] {
  const known = maskLists.get(radius);
  if (known) return known;
  const smaller = radius > 0 ? masksWithin(radius - 1) : [];
  const masks = new Set(radius < 0 ? [] : [0, ...smaller]);
  for (const mask of smaller) for (let bit = 0; bit < bandWidth; bit++) masks.add(mask | (1 << bit));
  const list = [...masks];
  maskLists.set(radius, list);
  return list;
}

/** The keys of several hashes, for the function `near_hashes`. */
export interface SearchKeys {
  /** The keys of all bands, band by band. */
  readonly keys: readonly number[];
  /** Where the keys of each band start, and where those of the last band end. */
  readonly stops: readonly number[];
}

/** Returns the index keys under which all hashes are found that differ in at most `maxBits` from one of the probes. */
export function searchKeys(
  tenantId: number,
  probes: readonly (FrameHash & { readonly maxBits: number })[],
): SearchKeys {
  const bases = probes.map((probe) => bandKeys(tenantId, probe));
  const radii = probes.map(({ maxBits }) => bandRadii(maxBits));
  const keys: number[] = [];
  const stops = [0];
  for (let band = 0; band < bandCount; band++) {
    for (const [index, base] of bases.entries()) {
      const key = base[band] ?? 0;
      const bits = key % 2 ** bandWidth;
      for (const mask of masksWithin(radii[index]?.[band] ?? -1)) keys.push(key - bits + (bits ^ mask));
    }
    stops.push(keys.length);
  }
  return { keys, stops };
}
