import type { Sharp } from 'sharp';
import type { PictureFacts } from '../model/picture.ts';
import { changesColours, convertSamples, exactly, layOnWhite, widenRange } from './colour/convert.ts';
import type { FileColour } from './colour/file-colour.ts';
import { spaceOfProfile } from './colour/icc-profile.ts';
import { labToPixels, offsetChroma } from './colour/lab-samples.ts';
import { explainFailure, explainRefusal } from './explain-failure.ts';
import type { Size } from './geometry.ts';
import { interpret, tiffColour } from './interpretation.ts';
import type { Pixels } from './pixels.ts';
import { fromSamples, readSamples, unpremultiply, whiten, widen } from './samples.ts';
import { type OwnOptions, openSource } from './source.ts';
import { decodeTo } from './steps.ts';
import { openCmyk, readColourChannels, readLabSamples, readYcbcr } from './tiff-channels.ts';
import type { TiffLayout } from './tiff-layout.ts';

/**
 * A picture whose facts are known, decoded to exactly `size`. What the library complains about is decoded all the same
 * where the structure of the file proves that all pixels are there: browsers show it, too.
 * @throws AppError one of the family `picture_damaged`.
 */
export async function decodePicture(bytes: Uint8Array, facts: PictureFacts, size: Size): Promise<Pixels> {
  const { format } = facts;
  try {
    return await decodeFrame(bytes, facts, size);
  } catch (error) {
    const reason = explainFailure(error, bytes, format);
    if (reason !== undefined) throw reason;
  }
  try {
    return await decodeFrame(bytes, facts, size, { isComplete: true });
  } catch (error) {
    throw explainRefusal(error, bytes, format);
  }
}

async function decodeFrame(
  bytes: Uint8Array,
  { format }: PictureFacts,
  size: Size,
  own: OwnOptions = {},
): Promise<Pixels> {
  const interpretation = interpret(bytes, format);
  if (interpretation.by === 'library') return decodeTo(openSource(bytes, format, own), size);
  const unmanaged = () => openSource(bytes, format, { ...own, ignoreIcc: true }).autoOrient();
  switch (interpretation.by) {
    case 'colour':
      return decodeColour(unmanaged(), await kindOf(unmanaged()), size, interpretation.colour);
    case 'premultiplied': {
      const kind = await kindOf(unmanaged());
      const samples = await readSamples(unmanaged(), kind.isDeep ? 'rgb16' : 'srgb', kind.isDeep ? 16 : 8);
      const straight = samples.channels === 4 ? unpremultiply(samples) : samples;
      return decodeColour(fromSamples(straight), { ...kind, isGrey: false }, size, interpretation.colour);
    }
    case 'channels':
      return decodeChannels(bytes, interpretation.layout, size, own);
    case 'lab': {
      const { layout } = interpretation;
      const samples = await readLabSamples(bytes, layout, own);
      if (layout.colours === 'lab') offsetChroma(samples);
      // Colours are multiplied by alpha for the resize: in 8 bits, the rounding shows as another hue.
      const precise = layout.alpha === undefined ? samples : widen(samples);
      const isDeep = precise.data instanceof Uint16Array;
      const resized = fromSamples(precise).resize(exactly(size));
      return labToPixels(await readSamples(resized, isDeep ? 'rgb16' : 'srgb', isDeep ? 16 : 8), layout);
    }
    case 'screen': {
      const samples = await readSamples(unmanaged(), 'srgb', 8);
      // With transparency, what the frame leaves empty is transparent.
      if (samples.channels === 3) whiten(samples, interpretation.frame);
      return decodeTo(fromSamples(samples), size);
    }
    case 'ycbcr': {
      const { layout } = interpretation;
      const source = fromSamples(await readYcbcr(bytes, layout, own));
      return decodeColour(source, { isDeep: false, isGrey: false }, size, tiffColour(layout));
    }
  }
}

async function decodeChannels(
  bytes: Uint8Array,
  layout: TiffLayout,
  size: Size,
  own: OwnOptions,
): Promise<Pixels> {
  const samples = await readColourChannels(bytes, layout, own);
  if (layout.colours === 'cmyk') return decodeTo(openCmyk(samples, layout), size);
  const kind = { isDeep: samples.data instanceof Uint16Array, isGrey: samples.channels <= 2 };
  return decodeColour(fromSamples(samples), kind, size, tiffColour(layout));
}

/** Depth and colours of what the library makes of a source. */
interface Kind {
  readonly isDeep: boolean;
  readonly isGrey: boolean;
}

async function kindOf(source: Sharp): Promise<Kind> {
  const { depth, space } = await source.metadata();
  return { isDeep: depth === 'ushort', isGrey: space === 'b-w' || space === 'grey16' };
}

/**
 * Resizes the numbers as they are and converts the result: a conversion costs more than a resize, and 16-bit grey keeps
 * its profile only so.
 */
async function decodeColour(source: Sharp, kind: Kind, size: Size, colour: FileColour): Promise<Pixels> {
  const profile = await usableProfile(colour, kind);
  const isNarrow = colour.is !== 'embedded' && colour.isNarrowRange === true;
  if (profile === undefined && !isNarrow) return decodeTo(source, size);
  const isGreyProfile = profile !== undefined && kind.isGrey && spaceOfProfile(profile) === 'GRAY';
  const space = kind.isDeep ? (isGreyProfile ? 'grey16' : 'rgb16') : 'srgb';
  const read = await readSamples(source.resize(exactly(size)), space, kind.isDeep ? 16 : 8);
  const samples = isNarrow ? widenRange(read) : read;
  return profile === undefined ? layOnWhite(samples) : convertSamples(samples, profile);
}

/** The profile that samples are to be converted by; none where it says sRGB, is broken or is one of other channels. */
async function usableProfile(colour: FileColour, kind: Kind): Promise<Uint8Array | undefined> {
  if (colour.is === 'srgb') return undefined;
  if (colour.is === 'named') return colour.profile;
  const space = spaceOfProfile(colour.profile);
  if (space === 'GRAY') return kind.isGrey ? colour.profile : undefined;
  return space === 'RGB ' && (await changesColours(colour.profile)) ? colour.profile : undefined;
}
