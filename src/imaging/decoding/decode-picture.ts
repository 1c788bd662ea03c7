import type { Sharp } from 'sharp';
import type { PictureFacts, PictureFormat } from '../../model/picture.ts';
import { changesColours, convertSamples, layOnWhite, widenRange } from '../colour/convert.ts';
import type { FileColour } from '../colour/file-colour.ts';
import { spaceOfProfile } from '../colour/icc-profile.ts';
import { labToPixels, offsetChroma } from '../colour/lab-samples.ts';
import { type GifFrame, gifOfFrame } from '../containers/gif.ts';
import type { TiffLayout } from '../containers/tiff-layout.ts';
import { explainFailure, explainRefusal } from '../damage/explain-failure.ts';
import type { Size } from '../geometry.ts';
import { interpret, tiffColour } from './interpretation.ts';
import { openSource, type SourceOptions } from './open-source.ts';
import { decodeTo, exactly, type Pixels } from './pixels.ts';
import { fromSamples, layOnScreen, readSamples, type Samples, unpremultiply, widen } from './samples.ts';
import { openCmyk, readColourChannels, readLabSamples, readYcbcr } from './tiff-channels.ts';

/**
 * Decodes a picture, whose facts are known, to exactly `size`. If the library rejects the file but its structure proves
 * that all pixels are present, decodes it anyway, as browsers do.
 * @throws AppError of the family `picture_damaged`.
 */
export async function decodePicture(bytes: Uint8Array, facts: PictureFacts, size: Size): Promise<Pixels> {
  const { format } = facts;
  try {
    return await decodeFrame({ bytes, format, options: {} }, size);
  } catch (error) {
    const reason = await explainFailure(error, bytes, format);
    if (reason !== undefined) throw reason;
  }
  try {
    return await decodeFrame({ bytes, format, options: { isComplete: true } }, size);
  } catch (error) {
    throw await explainRefusal(error, bytes, format);
  }
}

/** A file and the options to open it with. */
interface Source {
  readonly bytes: Uint8Array;
  readonly format: PictureFormat;
  readonly options: SourceOptions;
}

async function decodeFrame(source: Source, size: Size): Promise<Pixels> {
  const interpretation = interpret(source.bytes, source.format);
  switch (interpretation.by) {
    case 'library':
      return decodeTo(openSource(source.bytes, source.format, source.options), size);
    case 'colour':
      return decodeColour(
        unmanaged(source),
        await sampleKindOf(unmanaged(source)),
        size,
        interpretation.colour,
      );
    case 'premultiplied':
      return decodePremultiplied(source, size, interpretation.colour);
    case 'screen':
      return decodeScreen(source, size, interpretation);
    case 'channels':
      return decodeChannels(source, size, interpretation.layout);
    case 'lab':
      return decodeLab(source, size, interpretation.layout);
    case 'ycbcr': {
      const { layout } = interpretation;
      return decodeSamples(await readYcbcr(source.bytes, layout, source.options), size, tiffColour(layout));
    }
  }
}

/** Opens the picture upright, without any colour conversion. */
function unmanaged({ bytes, format, options }: Source) {
  return openSource(bytes, format, { ...options, ignoreIcc: true }).autoOrient();
}

async function decodePremultiplied(source: Source, size: Size, colour: FileColour): Promise<Pixels> {
  const { isDeep } = await sampleKindOf(unmanaged(source));
  const samples = await readSamples(unmanaged(source), isDeep ? 'rgb16' : 'srgb', isDeep ? 16 : 8);
  if (samples.channels === 4) unpremultiply(samples);
  return decodeSamples(samples, size, colour);
}

async function decodeScreen(
  source: Source,
  size: Size,
  { screen, frame }: { readonly screen: Size; readonly frame: GifFrame },
): Promise<Pixels> {
  const bytes = gifOfFrame(source.bytes, frame);
  const samples = await readSamples(unmanaged({ ...source, bytes }), 'srgb', 8);
  return decodeTo(fromSamples(layOnScreen(samples, screen, frame)), size);
}

async function decodeChannels({ bytes, options }: Source, size: Size, layout: TiffLayout): Promise<Pixels> {
  const samples = await readColourChannels(bytes, layout, options);
  if (layout.colours === 'cmyk') return decodeTo(await openCmyk(samples, layout, size), size);
  return decodeSamples(samples, size, tiffColour(layout));
}

async function decodeLab({ bytes, options }: Source, size: Size, layout: TiffLayout): Promise<Pixels> {
  const samples = await readLabSamples(bytes, layout, options);
  if (layout.colours === 'lab') offsetChroma(samples);
  // The resize premultiplies the colours; with 8 bits, the rounding would shift the hue.
  const precise = layout.alpha === undefined ? samples : widen(samples);
  const isDeep = precise.data instanceof Uint16Array;
  const resized = fromSamples(precise).resize(exactly(size));
  return labToPixels(await readSamples(resized, isDeep ? 'rgb16' : 'srgb', isDeep ? 16 : 8), layout);
}

/** How the image library represents the samples of a source. */
interface SampleKind {
  readonly isDeep: boolean;
  readonly isGrey: boolean;
}

async function sampleKindOf(source: Sharp): Promise<SampleKind> {
  const { depth, space } = await source.metadata();
  return { isDeep: depth === 'ushort', isGrey: space === 'b-w' || space === 'grey16' };
}

/**
 * Converts the raw samples of a source to opaque sRGB of exactly `size`. Resizes first: the conversion costs more than
 * the resize, and otherwise 16-bit grey would lose its profile.
 */
async function decodeColour(
  source: Sharp,
  kind: SampleKind,
  size: Size,
  colour: FileColour,
): Promise<Pixels> {
  const profile = await usableProfile(colour, kind);
  const isNarrow = colour.is !== 'embedded' && colour.isNarrowRange === true;
  if (profile === undefined && !isNarrow) return decodeTo(source, size);
  const isGreyProfile = profile !== undefined && spaceOfProfile(profile) === 'GRAY';
  const space = kind.isDeep ? (isGreyProfile ? 'grey16' : 'rgb16') : 'srgb';
  const read = await readSamples(source.resize(exactly(size)), space, kind.isDeep ? 16 : 8);
  const samples = isNarrow ? widenRange(read) : read;
  return profile === undefined ? layOnWhite(samples) : convertSamples(samples, profile);
}

/** Does the same for grey or RGB samples in memory. */
async function decodeSamples(samples: Samples, size: Size, colour: FileColour): Promise<Pixels> {
  const kind = { isDeep: samples.data instanceof Uint16Array, isGrey: samples.channels <= 2 };
  return decodeColour(fromSamples(samples), kind, size, colour);
}

/** Returns the profile to convert with; `undefined` if it is sRGB, is broken or does not match the channels. */
async function usableProfile(colour: FileColour, kind: SampleKind): Promise<Uint8Array | undefined> {
  if (colour.is === 'srgb') return undefined;
  if (colour.is === 'named') return colour.profile;
  const space = spaceOfProfile(colour.profile);
  if (space === 'GRAY') return kind.isGrey ? colour.profile : undefined;
  return space === 'RGB ' && (await changesColours(colour.profile)) ? colour.profile : undefined;
}
