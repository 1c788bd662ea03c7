import type { Sharp } from 'sharp';
import { AppError } from '../../errors.ts';
import { readTiffNumbers, tiffTags } from '../containers/tiff.ts';
import type { Size } from '../geometry.ts';
import { sharp } from './native-library.ts';
import {
  allocateLike,
  fromSamples,
  keepChannelsInPlace,
  to8Bits,
  copyChannels,
  readSamples,
  type Samples,
  type SampleSpace,
  unpremultiply,
  to16Bits,
  encodePlainTiff,
} from './samples.ts';
import { type SourceOptions, openPicture } from './open-picture.ts';
import { exactResizeOptions } from './pixels.ts';
import { is16BitCmykWithAlpha, isPlanarGrey, type TiffLayout } from '../containers/tiff-layout.ts';

/**
 * Reads only the colours and the alpha channel of a TIFF, upright and at full size. Returns grey with a profile at 16
 * bits, and CMYK with alpha at 8 bits, because the library converts them only at these depths.
 */
export async function readColourChannels(
  bytes: Uint8Array,
  layout: TiffLayout,
  options: SourceOptions,
): Promise<Samples> {
  const { colours, bits, colourChannels, alphaIndex, channels } = layout;
  const isGrey = colours === 'grey';
  const isPlanar = isPlanarGrey(layout);
  const is16BitCmyk = is16BitCmykWithAlpha(layout);
  const space = isPlanar ? selectPlanarSpace(channels, bits) : selectInterleavedSpace(layout);
  const readableBytes = isPlanar
    ? declareAsRgb(bytes, layout)
    : is16BitCmyk
      ? declareStraightAlpha(bytes, layout)
      : bytes;
  const allSamples = await readSamples(openUnmanaged(readableBytes, options), space, bits === 16 ? 16 : 8);
  // The library returns three channels for 8-bit grey and for a palette.
  const returnedColourCount = space === 'srgb' && !isPlanar ? 3 : colourChannels;
  const colourIndices = Array.from({ length: isGrey ? 1 : returnedColourCount }, (_, n) => n);
  const alphaIndices = alphaIndex === undefined ? [] : [alphaIndex - colourChannels + returnedColourCount];
  const samples = keepChannelsInPlace(allSamples, [...colourIndices, ...alphaIndices]);
  if ((isPlanar || is16BitCmyk) && layout.isPremultiplied) unpremultiply(samples);
  if (isPlanar && layout.isInverted) invertFirstChannel(samples);
  if (is16BitCmyk) return to8Bits(samples);
  return isGrey && layout.profile !== undefined ? to16Bits(samples) : samples;
}

function selectInterleavedSpace({ colours, bits }: TiffLayout): SampleSpace {
  if (colours === 'cmyk') return 'cmyk';
  if (bits < 16) return 'srgb';
  return colours === 'grey' ? 'grey16' : 'rgb16';
}

/** Selects `multiband` for two channels, because the library assigns no colour space to RGB with only two channels. */
function selectPlanarSpace(channels: number, bits: number): SampleSpace {
  if (channels === 2) return 'multiband';
  return bits === 16 ? 'rgb16' : 'srgb';
}

function invertFirstChannel({ data, channels }: Samples): void {
  const maxValue = data instanceof Uint16Array ? 65_535 : 255;
  for (let index = 0; index < data.length; index += channels) data[index] = maxValue - (data[index] ?? 0);
}

/**
 * Opens CMYK samples with their profile, so that the library converts them. The conversion is slow, so samples without
 * alpha are resized first.
 */
export async function openCmyk(samples: Samples, { profile }: TiffLayout, size: Size): Promise<Sharp> {
  const file = encodePlainTiff(
    samples.channels === 4 ? await resizeInks(samples, size) : samples,
    'cmyk',
    profile,
  );
  return sharp(file, { limitInputPixels: false, sequentialRead: false });
}

/** Resizes CMYK samples. Resizes black separately, because the library does not accept raw CMYK. */
async function resizeInks(samples: Samples, size: Size): Promise<Samples> {
  const is16Bit = samples.data instanceof Uint16Array;
  const resizeChannels = async (channels: readonly number[]) => {
    const image = fromSamples(copyChannels(samples, channels)).resize(exactResizeOptions(size));
    return readSamples(image, is16Bit ? 'rgb16' : 'srgb', is16Bit ? 16 : 8);
  };
  const [inks, black] = [await resizeChannels([0, 1, 2]), await resizeChannels([3])];
  const data = allocateLike(inks, 4);
  for (let source = 0, target = 0; source < inks.data.length; source += 3, target += 4) {
    for (let n = 0; n < 3; n++) data[target + n] = inks.data[source + n] ?? 0;
    data[target + 3] = black.data[source] ?? 0;
  }
  return { ...inks, channels: 4, data };
}

/**
 * Reads L*a*b* samples, upright and at full size. The library supports only some variants, so the file is declared as
 * RGB, whose samples have the same layout.
 */
export async function readLabSamples(
  bytes: Uint8Array,
  layout: TiffLayout,
  options: SourceOptions,
): Promise<Samples> {
  if (layout.isPremultiplied) {
    throw new AppError(
      'picture_unsupported',
      'The TIFF image stores Lab colours premultiplied by alpha. The premultiplication cannot be undone ' +
        'exactly; save the image with straight alpha or without transparency.',
    );
  }
  const is16Bit = layout.bits === 16;
  const allSamples = await readSamples(
    openUnmanaged(declareAsRgb(bytes, layout), options),
    is16Bit ? 'rgb16' : 'srgb',
    is16Bit ? 16 : 8,
  );
  return keepChannelsInPlace(allSamples, [
    0,
    1,
    2,
    ...(layout.alphaIndex === undefined ? [] : [layout.alphaIndex]),
  ]);
}

/** Returns a copy of a TIFF that declares its colours as RGB and its alpha as straight. */
export function declareAsRgb(bytes: Uint8Array, layout: TiffLayout): Uint8Array {
  const copy = declareStraightAlpha(bytes, layout);
  writeTag(copy, layout, tiffTags.photometric, 0, 2);
  return copy;
}

/**
 * Returns a copy of a TIFF that declares its alpha as straight. Otherwise, the library would un-premultiply 16-bit
 * CMYK samples, and samples without a colour space, as if they had 8 bits.
 */
function declareStraightAlpha(bytes: Uint8Array, layout: TiffLayout): Buffer {
  const copy = Buffer.from(bytes);
  const { alphaIndex, colourChannels } = layout;
  if (alphaIndex !== undefined) writeTag(copy, layout, tiffTags.extraSamples, alphaIndex - colourChannels, 2);
  return copy;
}

function writeTag(
  file: Buffer,
  { file: { isLittleEndian }, directory }: TiffLayout,
  tag: number,
  index: number,
  value: number,
): void {
  const entry = directory.entries.get(tag);
  const size = entry?.type === 3 ? 2 : 4;
  if (entry === undefined || index >= entry.count || entry.offset + (index + 1) * size > file.length) return;
  if (isLittleEndian) file.writeUIntLE(value, entry.offset + index * size, size);
  else file.writeUIntBE(value, entry.offset + index * size, size);
}

/** Reads Y'CbCr without chroma subsampling, upright and at full size, and converts it to RGB (TIFF 6.0, section 21). */
export async function readYcbcr(
  bytes: Uint8Array,
  layout: TiffLayout,
  options: SourceOptions,
): Promise<Samples> {
  const allSamples = await readSamples(openUnmanaged(declareAsRgb(bytes, layout), options), 'srgb', 8);
  const samples = keepChannelsInPlace(allSamples, [
    0,
    1,
    2,
    ...(layout.alphaIndex === undefined ? [] : [layout.alphaIndex]),
  ]);
  const { red, green, blue, black, white } = readYcbcrParameters(layout);
  const { data, channels } = samples;
  for (let index = 0; index < data.length; index += channels) {
    const y = (((data[index] ?? 0) - (black[0] ?? 0)) * 255) / ((white[0] ?? 255) - (black[0] ?? 0));
    const cb = (((data[index + 1] ?? 0) - (black[1] ?? 128)) * 127) / ((white[1] ?? 255) - (black[1] ?? 128));
    const cr = (((data[index + 2] ?? 0) - (black[2] ?? 128)) * 127) / ((white[2] ?? 255) - (black[2] ?? 128));
    const r = y + cr * (2 - 2 * red);
    const b = y + cb * (2 - 2 * blue);
    data[index] = clip(r);
    data[index + 1] = clip((y - red * r - blue * b) / green);
    data[index + 2] = clip(b);
  }
  return samples;
}

const [ycbcrCoefficientsTag, referenceBlackWhiteTag] = [529, 532];

function readYcbcrParameters({ file, directory }: TiffLayout): {
  red: number;
  green: number;
  blue: number;
  black: number[];
  white: number[];
} {
  const readNumbers = (tag: number) => readTiffNumbers(file, directory, tag);
  const [red = 0.299, green = 0.587, blue = 0.114] = readNumbers(ycbcrCoefficientsTag);
  const [y0 = 0, y1 = 255, cb0 = 128, cb1 = 255, cr0 = 128, cr1 = 255] = readNumbers(referenceBlackWhiteTag);
  return { red, green, blue, black: [y0, cb0, cr0], white: [y1, cb1, cr1] };
}

function clip(value: number): number {
  return Number.isNaN(value) ? 0 : Math.max(0, Math.min(255, Math.round(value)));
}

/** Opens a TIFF with its orientation applied, but without any colour conversion. */
function openUnmanaged(bytes: Uint8Array, options: SourceOptions): Sharp {
  return openPicture(bytes, 'tiff', { ...options, ignoreIcc: true }).autoOrient();
}
