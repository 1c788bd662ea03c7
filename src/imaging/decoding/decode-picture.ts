import type { Sharp } from 'sharp';
import type { PictureFacts, PictureFormat } from '../../model/picture.ts';
import { changesColours, convertSamples, flattenOntoWhite, expandToFullRange } from '../colour/convert.ts';
import type { FileColour } from '../colour/file-colour.ts';
import { readProfileColourSpace } from '../colour/icc-profile.ts';
import { labToPixels, offsetChroma } from '../colour/lab-samples.ts';
import { type GifFrame, cropGifToFrame } from '../containers/gif.ts';
import type { TiffLayout } from '../containers/tiff-layout.ts';
import { explainFailure, explainRejection } from '../damage/explain-failure.ts';
import type { Size } from '../geometry.ts';
import { interpret, readTiffColour } from './interpretation.ts';
import { openPicture, type SourceOptions } from './open-picture.ts';
import { decodeTo, exactResizeOptions, type Pixels } from './pixels.ts';
import { fromSamples, placeOnScreen, readSamples, type Samples, unpremultiply, to16Bits } from './samples.ts';
import { openCmyk, readColourChannels, readLabSamples, readYcbcr } from './tiff-channels.ts';

/**
 * Decodes a picture to exactly `size`. If the library rejects the file but its structure proves that all pixels are
 * present, decodes it anyway, as browsers do.
 * @throws AppError with a code of the `picture_damaged` family.
 */
export async function decodePicture(bytes: Uint8Array, facts: PictureFacts, size: Size): Promise<Pixels> {
  const { format } = facts;
  try {
    return await decodeFrame({ bytes, format, options: {} }, size);
  } catch (error) {
    const explanation = await explainFailure(error, bytes, format);
    if (explanation !== undefined) throw explanation;
  }
  try {
    return await decodeFrame({ bytes, format, options: { isComplete: true } }, size);
  } catch (error) {
    throw await explainRejection(error, bytes, format);
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
  switch (interpretation.kind) {
    case 'library':
      return decodeTo(openPicture(source.bytes, source.format, source.options), size);
    case 'colour':
      return decodeColour(
        openUnmanaged(source),
        await readSampleKind(openUnmanaged(source)),
        size,
        interpretation.colour,
      );
    case 'premultiplied':
      return decodePremultiplied(source, size, interpretation.colour);
    case 'screen':
      return decodeGifScreen(source, size, interpretation);
    case 'channels':
      return decodeChannels(source, size, interpretation.layout);
    case 'lab':
      return decodeLab(source, size, interpretation.layout);
    case 'ycbcr': {
      const { layout } = interpretation;
      return decodeSamples(
        await readYcbcr(source.bytes, layout, source.options),
        size,
        readTiffColour(layout),
      );
    }
  }
}

/** Opens a picture with its orientation applied, but without any colour conversion. */
function openUnmanaged({ bytes, format, options }: Source) {
  return openPicture(bytes, format, { ...options, ignoreIcc: true }).autoOrient();
}

async function decodePremultiplied(source: Source, size: Size, colour: FileColour): Promise<Pixels> {
  const { is16Bit } = await readSampleKind(openUnmanaged(source));
  const samples = await readSamples(openUnmanaged(source), is16Bit ? 'rgb16' : 'srgb', is16Bit ? 16 : 8);
  if (samples.channels === 4) unpremultiply(samples);
  return decodeSamples(samples, size, colour);
}

async function decodeGifScreen(
  source: Source,
  size: Size,
  { screen, frame }: { readonly screen: Size; readonly frame: GifFrame },
): Promise<Pixels> {
  const bytes = cropGifToFrame(source.bytes, frame);
  const samples = await readSamples(openUnmanaged({ ...source, bytes }), 'srgb', 8);
  return decodeTo(fromSamples(placeOnScreen(samples, screen, frame)), size);
}

async function decodeChannels({ bytes, options }: Source, size: Size, layout: TiffLayout): Promise<Pixels> {
  const samples = await readColourChannels(bytes, layout, options);
  if (layout.colours === 'cmyk') return decodeTo(await openCmyk(samples, layout, size), size);
  return decodeSamples(samples, size, readTiffColour(layout));
}

async function decodeLab({ bytes, options }: Source, size: Size, layout: TiffLayout): Promise<Pixels> {
  const samples = await readLabSamples(bytes, layout, options);
  if (layout.colours === 'lab') offsetChroma(samples);
  // Resizing premultiplies the colours. With 8-bit samples, rounding would shift the hue.
  const preciseSamples = layout.alphaIndex === undefined ? samples : to16Bits(samples);
  const is16Bit = preciseSamples.data instanceof Uint16Array;
  const resizedSource = fromSamples(preciseSamples).resize(exactResizeOptions(size));
  return labToPixels(await readSamples(resizedSource, is16Bit ? 'rgb16' : 'srgb', is16Bit ? 16 : 8), layout);
}

/** How the image library represents the samples of a source. */
interface SampleKind {
  readonly is16Bit: boolean;
  readonly isGrey: boolean;
}

async function readSampleKind(source: Sharp): Promise<SampleKind> {
  const { depth, space } = await source.metadata();
  return { is16Bit: depth === 'ushort', isGrey: space === 'b-w' || space === 'grey16' };
}

/**
 * Converts a source's raw samples to opaque sRGB of exactly `size`. Resizes first, because the conversion is slower
 * than the resize, and because 16-bit grey would otherwise lose its profile.
 */
async function decodeColour(
  source: Sharp,
  kind: SampleKind,
  size: Size,
  colour: FileColour,
): Promise<Pixels> {
  const profile = await findUsableProfile(colour, kind);
  const isNarrowRange = colour.kind !== 'embedded' && colour.isNarrowRange === true;
  if (profile === undefined && !isNarrowRange) return decodeTo(source, size);
  const isGreyProfile = profile !== undefined && readProfileColourSpace(profile) === 'GRAY';
  const space = kind.is16Bit ? (isGreyProfile ? 'grey16' : 'rgb16') : 'srgb';
  const resizedSamples = await readSamples(
    source.resize(exactResizeOptions(size)),
    space,
    kind.is16Bit ? 16 : 8,
  );
  const samples = isNarrowRange ? expandToFullRange(resizedSamples) : resizedSamples;
  return profile === undefined ? flattenOntoWhite(samples) : convertSamples(samples, profile);
}

/** Like `decodeColour`, for grey or RGB samples in memory. */
async function decodeSamples(samples: Samples, size: Size, colour: FileColour): Promise<Pixels> {
  const kind = { is16Bit: samples.data instanceof Uint16Array, isGrey: samples.channels <= 2 };
  return decodeColour(fromSamples(samples), kind, size, colour);
}

/** Returns the profile; `undefined` if the profile is sRGB, is invalid or does not match the channels. */
async function findUsableProfile(colour: FileColour, kind: SampleKind): Promise<Uint8Array | undefined> {
  if (colour.kind === 'srgb') return undefined;
  if (colour.kind === 'declared') return colour.profile;
  const space = readProfileColourSpace(colour.profile);
  if (space === 'GRAY') return kind.isGrey ? colour.profile : undefined;
  return space === 'RGB ' && (await changesColours(colour.profile)) ? colour.profile : undefined;
}
