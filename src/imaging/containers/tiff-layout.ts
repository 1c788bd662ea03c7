import { AppError } from '../../errors.ts';
import {
  type TiffDirectory,
  type TiffStructure,
  readTiffBytes,
  readTiffNumber,
  readTiffNumbers,
  tiffTags,
} from './tiff.ts';

/** Colour model of a TIFF. `icclab` and `itulab` are variants of L*a*b*. */
export type TiffColours = 'grey' | 'rgb' | 'palette' | 'cmyk' | 'ycbcr' | 'lab' | 'icclab' | 'itulab';

/** How the pixels of a TIFF are stored. */
export interface TiffLayout {
  readonly file: TiffStructure;
  readonly directory: TiffDirectory;
  readonly colours: TiffColours;
  /** Bits per sample: 1, 2, 4, 8 or 16. */
  readonly bits: number;
  /** Samples per pixel. */
  readonly channels: number;
  /** Number of colour channels. They precede all other channels. */
  readonly colourChannels: number;
  /** Index of the alpha channel, if any. */
  readonly alphaIndex: number | undefined;
  /** Whether the colours are premultiplied. */
  readonly isPremultiplied: boolean;
  readonly isJpeg: boolean;
  /** Whether the channels are stored in separate planes. */
  readonly isPlanar: boolean;
  /** Whether the sample value 0 means white. */
  readonly isInverted: boolean;
  /** Whether the chroma of Y'CbCr is subsampled. */
  readonly isSubsampled: boolean;
  readonly profile: Uint8Array | undefined;
}

const coloursByCode: Readonly<Record<number, TiffColours>> = {
  0: 'grey',
  1: 'grey',
  2: 'rgb',
  3: 'palette',
  5: 'cmyk',
  6: 'ycbcr',
  8: 'lab',
  9: 'icclab',
  10: 'itulab',
};

const unsupportedPhotometrics: Readonly<Record<number, string>> = {
  4: 'is a transparency mask',
  32844: 'stores logarithmic luminance (LogL)',
  32845: 'stores logarithmic luminance (LogLuv)',
  52527: 'is a depth map',
};

const colourChannelCounts: Readonly<Record<TiffColours, number>> = {
  grey: 1,
  rgb: 3,
  palette: 1,
  cmyk: 4,
  ycbcr: 3,
  lab: 3,
  icclab: 3,
  itulab: 3,
};

const sampleFormats: Readonly<Record<number, string>> = {
  2: 'signed integers',
  3: 'floating-point numbers',
  5: 'complex integers',
  6: 'complex floating-point numbers',
};

/**
 * Maximum number of channels. Photoshop writes at most 56. The limit is needed because all channels are in memory until
 * the colours are extracted.
 */
const maxChannels = 64;

/** Tags that only this module needs. */
const inkSetTag = 332;
const chromaSubsamplingTag = 530;

/** Values of ExtraSamples (TIFF 6.0, section 18). The value 0 means unspecified. */
const [associatedAlpha, unassociatedAlpha] = [1, 2];

/**
 * Determines how a directory's pixels are stored. Returns `undefined` if required tags are missing, so that the image
 * library reports the error.
 * @throws AppError `picture_unsupported` if the sample layout is not supported or its colours cannot be interpreted.
 */
export function readTiffLayout(file: TiffStructure, directory: TiffDirectory): TiffLayout | undefined {
  const readNumber = (tag: number) => readTiffNumber(file, directory, tag);
  const photometric = readNumber(tiffTags.photometric);
  if (photometric === undefined) return undefined;
  const channels = readNumber(tiffTags.samplesPerPixel) ?? 1;
  if (channels > maxChannels) throw unsupported(`has ${channels} channels, more than ${maxChannels}`);
  const colours = coloursByCode[photometric];
  if (colours === undefined) {
    throw unsupported(unsupportedPhotometrics[photometric] ?? `has an unknown colour model (${photometric})`);
  }
  if (colours === 'cmyk' && (readNumber(inkSetTag) ?? 1) !== 1)
    throw unsupported('uses inks other than CMYK');
  const bits = readBits(file, directory, channels, colours);
  const colourChannels = colourChannelCounts[colours];
  if (channels < colourChannels) return undefined;
  const extraSamples = readExtraSamples(file, directory, channels - colourChannels, colours);
  const extraIndex = extraSamples.findIndex((kind) => kind === associatedAlpha || kind === unassociatedAlpha);
  const compression = readNumber(tiffTags.compression);
  return {
    file,
    directory,
    colours,
    bits,
    channels,
    colourChannels,
    alphaIndex: extraIndex < 0 ? undefined : colourChannels + extraIndex,
    isPremultiplied: extraSamples[extraIndex] === associatedAlpha,
    isJpeg: compression === 6 || compression === 7,
    isPlanar: readNumber(tiffTags.planarConfiguration) === 2,
    isInverted: photometric === 0,
    isSubsampled:
      (readNumber(chromaSubsamplingTag) ?? 2) > 1 ||
      readTiffNumbers(file, directory, chromaSubsamplingTag)[1] !== 1,
    profile: readTiffBytes(file, directory, tiffTags.iccProfile),
  };
}

/** Returns whether a grey picture has extra channels in separate planes. The image library misreads such pictures. */
export function isPlanarGrey({ colours, channels, isPlanar }: TiffLayout): boolean {
  return isPlanar && channels > 1 && colours === 'grey';
}

/** Returns whether a picture is 16-bit CMYK with alpha. The image library treats its samples as 8-bit samples. */
export function is16BitCmykWithAlpha({ colours, bits, alphaIndex }: TiffLayout): boolean {
  return colours === 'cmyk' && bits === 16 && alphaIndex !== undefined;
}

function readBits(
  file: TiffStructure,
  directory: TiffDirectory,
  channels: number,
  colours: TiffColours,
): number {
  const depths = readTiffNumbers(file, directory, tiffTags.bitsPerSample);
  const bits = depths[0] ?? 1;
  const format = readTiffNumbers(file, directory, tiffTags.sampleFormat).find((kind) => sampleFormats[kind]);
  // Some writers correctly declare that a* and b* are signed integers.
  if (format !== undefined && !(format === 2 && colours === 'lab')) {
    throw unsupported(`stores ${bits}-bit ${sampleFormats[format]} of unspecified range`);
  }
  if (depths.some((depth) => depth !== bits)) {
    throw unsupported(`has channels of different depths (${[...new Set(depths)].join(', ')} bits)`);
  }
  if (colours === 'ycbcr' && bits !== 8) throw unsupported(`stores Y'CbCr with ${bits} bits`);
  const isPacked = [1, 2, 4].includes(bits) && channels === 1;
  if (!isPacked && bits !== 8 && bits !== 16) {
    throw unsupported(`stores ${bits} bits per channel in ${channels} channel${channels === 1 ? '' : 's'}`);
  }
  return bits;
}

/**
 * Returns the kind of each channel after the colour channels. If an RGB picture has one such channel and does not
 * declare its kind, the picture is probably older than the tag. The channel then counts as alpha, as in libtiff.
 */
function readExtraSamples(
  file: TiffStructure,
  directory: TiffDirectory,
  count: number,
  colours: TiffColours,
): number[] {
  const kinds = readTiffNumbers(file, directory, tiffTags.extraSamples);
  if (kinds.length === 0 && count === 1 && colours === 'rgb') return [unassociatedAlpha];
  return Array.from({ length: count }, (_, n) => kinds[n] ?? 0);
}

function unsupported(problem: string): AppError {
  return new AppError(
    'picture_unsupported',
    `The TIFF image ${problem}, which is not supported; save it as 8- or 16-bit RGB, grey, CMYK or Lab.`,
  );
}
