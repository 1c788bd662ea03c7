import type { Sharp } from 'sharp';
import type { Rectangle, Size } from '../geometry.ts';
import { sharp } from './native-library.ts';

/** Samples of a picture in its own colour space: interleaved, rows from top to bottom, no padding. */
export interface Samples extends Size {
  /** Channels per pixel: the colours, then an optional straight (not premultiplied) alpha channel. */
  readonly channels: number;
  readonly data: Uint8Array | Uint16Array;
}

/** Colour spaces whose samples the image library returns unchanged. */
export type SampleSpace = 'srgb' | 'rgb16' | 'grey16' | 'cmyk' | 'multiband';

/** Runs an image library pipeline and returns its samples, without any profile conversion. */
export async function readSamples(image: Sharp, space: SampleSpace, bits: 8 | 16): Promise<Samples> {
  const pipeline = space === 'cmyk' ? image.pipelineColourspace('cmyk') : image;
  const { data, info } = await pipeline
    .toColourspace(space)
    .raw({ depth: bits === 16 ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (bits === 8) return { width, height, channels, data };
  return { width, height, channels, data: new Uint16Array(data.buffer, data.byteOffset, data.length / 2) };
}

/** Starts an image library pipeline with grey or RGB samples, with or without alpha. */
export function fromSamples({ data, width, height, channels }: Samples): Sharp {
  return sharp(data, { raw: { width, height, channels: channels as 1 | 2 | 3 | 4 } });
}

/** Allocates a buffer for samples of the same size and depth as the given samples, but with `channels` channels. */
export function allocateLike({ width, height, data }: Samples, channels: number): Uint8Array | Uint16Array {
  const length = width * height * channels;
  return data instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length);
}

/** Returns a copy of the samples with only the channels at `indices`, which must be in ascending order. */
export function copyChannels(samples: Samples, indices: readonly number[]): Samples {
  return moveChannels(samples, indices, allocateLike(samples, indices.length));
}

/**
 * Like `copyChannels`, but in place, because there may not be enough memory for a copy of a large picture. The caller
 * must not use the input afterwards.
 */
export function keepChannelsInPlace(samples: Samples, indices: readonly number[]): Samples {
  const { width, height, data } = samples;
  return moveChannels(samples, indices, data.subarray(0, width * height * indices.length));
}

function moveChannels(samples: Samples, indices: readonly number[], result: Samples['data']): Samples {
  const { data, channels } = samples;
  let target = 0;
  for (let index = 0; index < data.length; index += channels) {
    for (const channel of indices) result[target++] = data[index + channel] ?? 0;
  }
  return { ...samples, channels: indices.length, data: result };
}

/** Divides premultiplied colours by alpha (the last channel), in place. */
export function unpremultiply({ data, channels }: Samples): void {
  const maxValue = data instanceof Uint16Array ? 65_535 : 255;
  for (let index = 0; index < data.length; index += channels) {
    const alpha = data[index + channels - 1] ?? 0;
    for (let n = 0; n < channels - 1; n++) {
      const value = alpha === 0 ? 0 : Math.round(((data[index + n] ?? 0) * maxValue) / alpha);
      data[index + n] = Math.min(maxValue, value);
    }
  }
}

/** Places the 8-bit samples of a GIF frame, with alpha, on a clear screen. Anything outside the screen is cropped. */
export function placeOnScreen(
  { width, height, channels, data }: Samples,
  screen: Size,
  { left, top }: Pick<Rectangle, 'left' | 'top'>,
): Samples {
  const result = new Uint8Array(screen.width * screen.height * channels);
  const rowLength = Math.max(0, Math.min(width, screen.width - left)) * channels;
  const rows = rowLength === 0 ? 0 : Math.min(height, screen.height - top);
  for (let y = 0; y < rows; y++) {
    const from = y * width * channels;
    result.set(data.subarray(from, from + rowLength), ((top + y) * screen.width + left) * channels);
  }
  return { ...screen, channels, data: result };
}

/** Converts samples to 16 bits. */
export function to16Bits(samples: Samples): Samples {
  const { data } = samples;
  if (data instanceof Uint16Array) return samples;
  const result = new Uint16Array(data.length);
  for (let index = 0; index < data.length; index++) result[index] = (data[index] ?? 0) * 257;
  return { ...samples, data: result };
}

/** Converts samples to 8 bits. */
export function to8Bits(samples: Samples): Samples {
  const { data } = samples;
  if (data instanceof Uint8Array) return samples;
  const result = new Uint8Array(data.length);
  for (let index = 0; index < data.length; index++) result[index] = Math.round((data[index] ?? 0) / 257);
  return { ...samples, data: result };
}

/** Colour model of the samples (TIFF 6.0, PhotometricInterpretation). */
type Photometric = 'grey' | 'rgb' | 'cmyk';

const photometricCodes = { grey: 1, rgb: 2, cmyk: 5 } as const;
const colourCounts = { grey: 1, rgb: 3, cmyk: 4 } as const;

/** Space for the header and the directory, which has 12 bytes per entry. */
const directoryBytes = 256;

/**
 * Encodes samples as an uncompressed TIFF with an ICC profile. The image library accepts raw samples with a profile
 * only in this form. A channel after the colours is encoded as alpha.
 */
export function encodePlainTiff(samples: Samples, photometric: Photometric, profile?: Uint8Array): Buffer {
  const { width, height, channels, data } = samples;
  const bits = data.BYTES_PER_ELEMENT * 8;
  const pixels = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const depthsOffset = directoryBytes;
  const pixelsOffset = depthsOffset + channels * 2 + (profile?.length ?? 0) + ((profile?.length ?? 0) & 1);
  const file = Buffer.alloc(pixelsOffset + pixels.length);
  const tags: (readonly [tag: number, type: 3 | 4 | 7, count: number, value: number])[] = [
    [256, 4, 1, width],
    [257, 4, 1, height],
    [258, 3, channels, channels > 2 ? depthsOffset : bits | (channels > 1 ? bits << 16 : 0)],
    [259, 3, 1, 1],
    [262, 3, 1, photometricCodes[photometric]],
    [273, 4, 1, pixelsOffset],
    [277, 3, 1, channels],
    [278, 4, 1, height],
    [279, 4, 1, pixels.length],
  ];
  if (channels > colourCounts[photometric]) tags.push([338, 3, 1, 2]);
  if (profile !== undefined) {
    tags.push([34_675, 7, profile.length, depthsOffset + channels * 2]);
    file.set(profile, depthsOffset + channels * 2);
  }
  // Pixels are in native byte order, which is little-endian on all supported platforms.
  file.write('II*\0', 0, 'latin1');
  file.writeUInt32LE(8, 4);
  file.writeUInt16LE(tags.length, 8);
  for (const [n, [tag, type, count, value]] of tags.entries()) {
    file.writeUInt16LE(tag, 10 + n * 12);
    file.writeUInt16LE(type, 12 + n * 12);
    file.writeUInt32LE(count, 14 + n * 12);
    file.writeUInt32LE(value, 18 + n * 12);
  }
  for (let n = 0; n < channels; n++) file.writeUInt16LE(bits, depthsOffset + n * 2);
  pixels.copy(file, pixelsOffset);
  return file;
}
