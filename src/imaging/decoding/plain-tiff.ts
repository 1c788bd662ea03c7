import type { Samples } from './samples.ts';

/** Meaning of a TIFF's samples: TIFF 6.0, PhotometricInterpretation. */
export type PlainPhotometric = 'grey' | 'rgb' | 'cmyk';

const photometricCodes = { grey: 1, rgb: 2, cmyk: 5 } as const;
const coloursOf = { grey: 1, rgb: 3, cmyk: 4 } as const;

/** Directory entries of 12 bytes each, the maximum used here. */
const directoryBytes = 256;

/**
 * Samples as an uncompressed TIFF in memory, with an ICC profile: the only form in which the image library accepts raw
 * samples together with their profile. One channel more than the colours is alpha.
 */
export function writePlainTiff(
  samples: Samples,
  photometric: PlainPhotometric,
  profile?: Uint8Array,
): Buffer {
  const { width, height, channels, data } = samples;
  const bits = data.BYTES_PER_ELEMENT * 8;
  const pixels = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const depthsAt = directoryBytes;
  const pixelsAt = depthsAt + channels * 2 + (profile?.length ?? 0) + ((profile?.length ?? 0) & 1);
  const file = Buffer.alloc(pixelsAt + pixels.length);
  const tags: (readonly [tag: number, type: 3 | 4 | 7, count: number, value: number])[] = [
    [256, 4, 1, width],
    [257, 4, 1, height],
    [258, 3, channels, channels > 2 ? depthsAt : bits | (channels > 1 ? bits << 16 : 0)],
    [259, 3, 1, 1],
    [262, 3, 1, photometricCodes[photometric]],
    [273, 4, 1, pixelsAt],
    [277, 3, 1, channels],
    [278, 4, 1, height],
    [279, 4, 1, pixels.length],
  ];
  if (channels > coloursOf[photometric]) tags.push([338, 3, 1, 2]);
  if (profile !== undefined) {
    tags.push([34_675, 7, profile.length, depthsAt + channels * 2]);
    file.set(profile, depthsAt + channels * 2);
  }
  // Pixels are in native byte order, which is little-endian on every platform that Node supports.
  file.write('II*\0', 0, 'latin1');
  file.writeUInt32LE(8, 4);
  file.writeUInt16LE(tags.length, 8);
  for (const [n, [tag, type, count, value]] of tags.entries()) {
    file.writeUInt16LE(tag, 10 + n * 12);
    file.writeUInt16LE(type, 12 + n * 12);
    file.writeUInt32LE(count, 14 + n * 12);
    file.writeUInt32LE(value, 18 + n * 12);
  }
  for (let n = 0; n < channels; n++) file.writeUInt16LE(bits, depthsAt + n * 2);
  pixels.copy(file, pixelsAt);
  return file;
}
