import type { Metadata } from 'sharp';
import type { ColorSpace, PictureFacts, PictureFormat, PictureLimits } from '../model/picture.ts';
import { readBmpHeader } from './containers/bmp.ts';
import { cropGifToFrame } from './containers/gif.ts';
import { explainRejection } from './damage/explain-failure.ts';
import { rejectUnsupportedContent, sniffFormat } from './formats/identify-format.ts';
import { type Interpretation, interpret } from './decoding/interpretation.ts';
import { checkLimits } from './limits.ts';
import { sharp } from './decoding/native-library.ts';
import { declareAsRgb } from './decoding/tiff-channels.ts';
import { selectFrame, type SelectedFrame } from './containers/select-frame.ts';

const bitsByDepth: Readonly<Record<string, number>> = {
  uchar: 8,
  char: 8,
  ushort: 16,
  short: 16,
  uint: 32,
  int: 32,
  float: 32,
  complex: 64,
  double: 64,
};

/**
 * Reads a picture's facts from its header, without decoding pixels. Width and height are those of the upright picture.
 * Checks the size that the container declares against the limits before the image library receives the file.
 * @throws AppError `empty_file`, `not_a_picture`, `format_not_allowed`, `picture_too_large`, or a code of the
 *   `picture_damaged` family.
 */
export async function probe(bytes: Uint8Array, limits: PictureLimits): Promise<PictureFacts> {
  const { format } = await sniffFormat(bytes, limits.allowedFormats);
  const facts = format === 'bmp' ? readBmpFacts(bytes) : await readLibraryFacts(bytes, format, limits);
  checkLimits(facts, limits);
  return facts;
}

async function readLibraryFacts(
  bytes: Uint8Array,
  format: PictureFormat,
  limits: PictureLimits,
): Promise<PictureFacts> {
  rejectUnsupportedContent(bytes, format, limits.allowedFormats);
  const frame = selectFrame(bytes, format);
  if (frame.size !== undefined) checkLimits({ format, ...frame.size, frames: frame.frames }, limits);
  const interpretation = interpret(bytes, format);
  const metadata = await readMetadata({ ...frame, bytes: makeOpenable(frame.bytes, interpretation) }, format);
  const hasAlpha = hasRealAlpha(metadata, interpretation);
  const size = interpretation.kind === 'screen' ? interpretation.screen : metadata.autoOrient;
  return {
    format,
    // `autoOrient` applies the orientation flag of JPEG, PNG, WebP and TIFF; the AVIF decoder applies the rotation
    // itself.
    width: size.width,
    height: size.height,
    frames: frame.frames,
    colorSpace: describeColorSpace({ ...metadata, hasAlpha }, interpretation),
    hasAlpha,
    bitDepth: metadata.bitsPerSample ?? bitsByDepth[metadata.depth] ?? 8,
  };
}

/**
 * Returns the file, changed if necessary so that the library accepts it and reports the correct size. Without a change,
 * the library would reject 8-bit Lab and enlarge some GIFs.
 */
function makeOpenable(bytes: Uint8Array, interpretation: Interpretation): Uint8Array {
  if (interpretation.kind === 'lab') return declareAsRgb(bytes, interpretation.layout);
  return interpretation.kind === 'screen' ? cropGifToFrame(bytes, interpretation.frame) : bytes;
}

async function readMetadata({ bytes, position }: SelectedFrame, format: PictureFormat): Promise<Metadata> {
  try {
    // A readable header is enough here. Damage in the rest of the file is reported when the pixels are decoded.
    const options = { limitInputPixels: false, limitInputChannels: false, failOn: 'none' } as const;
    return await sharp(bytes, { ...options, ...position }).metadata();
  } catch (error) {
    throw await explainRejection(error, bytes, format);
  }
}

/** Returns whether the picture has an alpha channel. The library reports every extra channel of a TIFF as alpha. */
function hasRealAlpha({ hasAlpha }: Metadata, interpretation: Interpretation): boolean {
  return 'layout' in interpretation ? interpretation.layout.alphaIndex !== undefined : hasAlpha;
}

function describeColorSpace(
  { isPalette, space, hasAlpha, depth }: Metadata,
  interpretation: Interpretation,
): ColorSpace {
  if (interpretation.kind === 'lab') return 'LAB';
  if (isPalette) return 'P';
  if (space === 'cmyk') return 'CMYK';
  if (space === 'b-w' || space === 'grey16') {
    if (hasAlpha) return 'LA';
    return depth === 'ushort' ? 'I;16' : 'L';
  }
  return hasAlpha ? 'RGBA' : 'RGB';
}

function readBmpFacts(bytes: Uint8Array): PictureFacts {
  const { width, height, bits, masks } = readBmpHeader(bytes);
  const hasAlpha = masks[3] !== 0;
  const colorSpace = bits <= 8 ? 'P' : hasAlpha ? 'RGBA' : 'RGB';
  const bitDepth = bits <= 8 ? bits : 8;
  return { format: 'bmp', width, height, frames: 1, colorSpace, hasAlpha, bitDepth };
}
