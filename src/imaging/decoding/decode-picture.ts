import type { PictureFacts, PictureFormat } from '../../model/picture.ts';
import { decodeColour, decodeSamples, kindOf } from './decode-colour.ts';
import type { FileColour } from '../colour/file-colour.ts';
import { labToPixels, offsetChroma } from '../colour/lab-samples.ts';
import { type GifFrame, gifOfFrame } from '../containers/gif.ts';
import { explainFailure, explainRefusal } from '../damage/explain-failure.ts';
import type { Size } from '../geometry.ts';
import { interpret, tiffColour } from './interpretation.ts';
import type { Pixels } from './pixels.ts';
import { fromSamples, readSamples, layOnScreen, unpremultiply, widen } from './samples.ts';
import { type OwnOptions, openSource } from './open-source.ts';
import { decodeTo, exactly } from './steps.ts';
import { openCmyk, readColourChannels, readLabSamples, readYcbcr } from './tiff-channels.ts';
import type { TiffLayout } from '../containers/tiff-layout.ts';

/**
 * A picture whose facts are known, decoded to exactly `size`. A file that the library rejects is still decoded if its
 * structure proves that all pixels are present, as in browsers.
 * @throws AppError one of the family `picture_damaged`.
 */
export async function decodePicture(bytes: Uint8Array, facts: PictureFacts, size: Size): Promise<Pixels> {
  const { format } = facts;
  try {
    return await decodeFrame({ bytes, format, own: {} }, size);
  } catch (error) {
    const reason = await explainFailure(error, bytes, format);
    if (reason !== undefined) throw reason;
  }
  try {
    return await decodeFrame({ bytes, format, own: { isComplete: true } }, size);
  } catch (error) {
    throw await explainRefusal(error, bytes, format);
  }
}

/** A file, and the options to open it. */
interface Source {
  readonly bytes: Uint8Array;
  readonly format: PictureFormat;
  readonly own: OwnOptions;
}

async function decodeFrame(source: Source, size: Size): Promise<Pixels> {
  const interpretation = interpret(source.bytes, source.format);
  switch (interpretation.by) {
    case 'library':
      return decodeTo(openSource(source.bytes, source.format, source.own), size);
    case 'colour':
      return decodeColour(unmanaged(source), await kindOf(unmanaged(source)), size, interpretation.colour);
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
      return decodeSamples(await readYcbcr(source.bytes, layout, source.own), size, tiffColour(layout));
    }
  }
}

/** The picture as stored, upright, without any conversion. */
function unmanaged({ bytes, format, own }: Source) {
  return openSource(bytes, format, { ...own, ignoreIcc: true }).autoOrient();
}

async function decodePremultiplied(source: Source, size: Size, colour: FileColour): Promise<Pixels> {
  const { isDeep } = await kindOf(unmanaged(source));
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

async function decodeChannels({ bytes, own }: Source, size: Size, layout: TiffLayout): Promise<Pixels> {
  const samples = await readColourChannels(bytes, layout, own);
  if (layout.colours === 'cmyk') return decodeTo(await openCmyk(samples, layout, size), size);
  return decodeSamples(samples, size, tiffColour(layout));
}

async function decodeLab({ bytes, own }: Source, size: Size, layout: TiffLayout): Promise<Pixels> {
  const samples = await readLabSamples(bytes, layout, own);
  if (layout.colours === 'lab') offsetChroma(samples);
  // Colours are premultiplied for the resize: with 8 bits, the rounding would shift the hue.
  const precise = layout.alpha === undefined ? samples : widen(samples);
  const isDeep = precise.data instanceof Uint16Array;
  const resized = fromSamples(precise).resize(exactly(size));
  return labToPixels(await readSamples(resized, isDeep ? 'rgb16' : 'srgb', isDeep ? 16 : 8), layout);
}
