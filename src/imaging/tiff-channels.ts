import type { Sharp } from 'sharp';
import { AppError } from '../errors.ts';
import { type TiffStructure, tiffNumbers, tiffTags } from './containers/tiff.ts';
import { sharp } from './native-library.ts';
import { writePlainTiff } from './plain-tiff.ts';
import { pickChannels, readSamples, type Samples, widen } from './samples.ts';
import { openSource } from './source.ts';
import type { TiffLayout } from './tiff-layout.ts';
import { readUsedTiff } from './tiff-pages.ts';

/**
 * Colours and alpha of a TIFF without its other channels, upright, at full size. Grey with a profile comes with 16
 * bits: only those can be converted together with alpha.
 */
export async function readColourChannels(bytes: Uint8Array, layout: TiffLayout): Promise<Samples> {
  const { colours, bits, colourChannels, alpha } = layout;
  const isGrey = colours === 'grey';
  const space = colours === 'cmyk' ? 'cmyk' : bits < 16 ? 'srgb' : isGrey ? 'grey16' : 'rgb16';
  const all = await readSamples(openUnmanaged(bytes), space, bits === 16 ? 16 : 8);
  // The library makes three channels of grey and of a palette where it makes RGB of them.
  const shown = space === 'srgb' ? 3 : colourChannels;
  const first = Array.from({ length: isGrey ? 1 : shown }, (_, n) => n);
  const rest = alpha === undefined ? [] : [alpha - colourChannels + shown];
  const samples = pickChannels(all, [...first, ...rest]);
  return isGrey && layout.profile !== undefined ? widen(samples) : samples;
}

/** CMYK samples with their profile as a picture that the library converts. */
export function openCmyk(samples: Samples, { profile }: TiffLayout): Sharp {
  return sharp(writePlainTiff(samples, 'cmyk', profile), { limitInputPixels: false, sequentialRead: false });
}

/**
 * Numbers of L*a*b*, upright and at full size. The library knows only some forms of it, so it gets the file as one of
 * RGB: the numbers are the same.
 */
export async function readLabSamples(bytes: Uint8Array, layout: TiffLayout): Promise<Samples> {
  if (layout.isPremultiplied) {
    throw new AppError(
      'picture_unsupported',
      'The TIFF picture stores Lab colours multiplied by their transparency, which cannot be undone exactly; save it ' +
        'with straight alpha or without transparency.',
    );
  }
  const isDeep = layout.bits === 16;
  const all = await readSamples(openUnmanaged(asRgb(bytes)), isDeep ? 'rgb16' : 'srgb', isDeep ? 16 : 8);
  return pickChannels(all, [0, 1, 2, ...(layout.alpha === undefined ? [] : [layout.alpha])]);
}

/** A copy of a TIFF that calls its colours RGB. */
export function asRgb(bytes: Uint8Array): Uint8Array {
  const file = readUsedTiff(bytes);
  const entry = file?.directories[0].entries.get(tiffTags.photometric);
  if (file === undefined || entry === undefined) return bytes;
  const copy = Buffer.from(bytes);
  const isShort = entry.type === 3;
  if (file.isLittleEndian) copy.writeUIntLE(2, entry.offset, isShort ? 2 : 4);
  else copy.writeUIntBE(2, entry.offset, isShort ? 2 : 4);
  return copy;
}

/** Y'CbCr with a full set of chroma samples, upright and at full size, to RGB (TIFF 6.0, section 21). */
export async function readYcbcr(bytes: Uint8Array, layout: TiffLayout): Promise<Samples> {
  const all = await readSamples(openUnmanaged(asRgb(bytes)), 'srgb', 8);
  const samples = pickChannels(all, [0, 1, 2, ...(layout.alpha === undefined ? [] : [layout.alpha])]);
  const file = readUsedTiff(bytes);
  const { red, green, blue, black, white } = ycbcrParameters(file);
  const { data, channels } = samples;
  for (let at = 0; at < data.length; at += channels) {
    const y = (((data[at] ?? 0) - (black[0] ?? 0)) * 255) / ((white[0] ?? 255) - (black[0] ?? 0));
    const cb = (((data[at + 1] ?? 0) - (black[1] ?? 128)) * 127) / ((white[1] ?? 255) - (black[1] ?? 128));
    const cr = (((data[at + 2] ?? 0) - (black[2] ?? 128)) * 127) / ((white[2] ?? 255) - (black[2] ?? 128));
    const r = y + cr * (2 - 2 * red);
    const b = y + cb * (2 - 2 * blue);
    data[at] = clip(r);
    data[at + 1] = clip((y - red * r - blue * b) / green);
    data[at + 2] = clip(b);
  }
  return samples;
}

const [ycbcrCoefficients, referenceBlackWhite] = [529, 532];

function ycbcrParameters(file: TiffStructure | undefined): {
  red: number;
  green: number;
  blue: number;
  black: number[];
  white: number[];
} {
  const numbers = (tag: number) => (file === undefined ? [] : tiffNumbers(file, file.directories[0], tag));
  const [red = 0.299, green = 0.587, blue = 0.114] = numbers(ycbcrCoefficients);
  const [y0 = 0, y1 = 255, cb0 = 128, cb1 = 255, cr0 = 128, cr1 = 255] = numbers(referenceBlackWhite);
  return { red, green, blue, black: [y0, cb0, cr0], white: [y1, cb1, cr1] };
}

function clip(value: number): number {
  return Number.isNaN(value) ? 0 : Math.max(0, Math.min(255, Math.round(value)));
}

function openUnmanaged(bytes: Uint8Array): Sharp {
  return openSource(bytes, 'tiff', { ignoreIcc: true }).autoOrient();
}
