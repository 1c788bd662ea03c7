import { formatNames, type PictureFormat } from '../../model/picture.ts';
import { readHeifColour, type FileColour, readPngColour } from '../colour/file-colour.ts';
import { isIccProfile } from '../colour/icc-profile.ts';
import { type GifFrame, readGif } from '../containers/gif.ts';
import { readIsobmff } from '../containers/isobmff.ts';
import { readPng } from '../containers/png.ts';
import { readTiff } from '../containers/tiff.ts';
import type { Size } from '../geometry.ts';
import {
  is16BitCmykWithAlpha,
  isPlanarGrey,
  type TiffLayout,
  readTiffLayout,
} from '../containers/tiff-layout.ts';
import { selectTiffPage } from '../containers/tiff-pages.ts';

/** How to convert a file's samples to colours. */
export type Interpretation =
  /** The image library converts them correctly. */
  | { readonly kind: 'library' }
  /** The raw samples need a conversion that the library does not perform correctly. */
  | { readonly kind: 'colour'; readonly colour: FileColour }
  /** Like `colour`, but the samples are premultiplied. */
  | { readonly kind: 'premultiplied'; readonly colour: FileColour }
  /** A TIFF with channels that the library misinterprets. */
  | { readonly kind: 'channels'; readonly layout: TiffLayout }
  /** A TIFF in L*a*b*. */
  | { readonly kind: 'lab'; readonly layout: TiffLayout }
  /**
   * A GIF whose first frame does not exactly cover its screen. The library fills uncovered areas with black, and
   * enlarges the picture to include areas outside the screen. Browsers show only the screen.
   */
  | { readonly kind: 'screen'; readonly screen: Size; readonly frame: GifFrame }
  /** A TIFF in Y'CbCr that the library does not convert. */
  | { readonly kind: 'ycbcr'; readonly layout: TiffLayout };

const library: Interpretation = { kind: 'library' };

/**
 * Decides from the container how to decode a picture. Leaves ordinary pictures, and all formats without special cases,
 * to the library.
 * @throws AppError `picture_unsupported` for colours or samples that cannot be converted to sRGB.
 */
export function interpret(bytes: Uint8Array, format: PictureFormat): Interpretation {
  if (format === 'png') return interpretPng(bytes);
  if (format === 'avif' || format === 'heic') return interpretHeif(bytes, format);
  if (format === 'gif') return interpretGif(bytes);
  return format === 'tiff' ? interpretTiff(bytes) : library;
}

function interpretGif(bytes: Uint8Array): Interpretation {
  const gif = readGif(bytes);
  if (gif?.firstFrame === undefined) return library;
  const { left, top, width, height } = gif.firstFrame;
  // As in browsers, a frame that is larger than the screen determines the screen size.
  const screen = { width: Math.max(gif.width, width), height: Math.max(gif.height, height) };
  const coversScreen = left === 0 && top === 0 && width === screen.width && height === screen.height;
  return coversScreen ? library : { kind: 'screen', screen, frame: gif.firstFrame };
}

function interpretPng(bytes: Uint8Array): Interpretation {
  const png = readPng(bytes);
  if (png === undefined) return library;
  const declaresColours =
    png.cicp !== undefined || png.gamma !== undefined || png.chromaticities !== undefined;
  // The library converts embedded profiles correctly only for pictures with 8 bits per channel.
  if (!declaresColours && png.header.bitDepth <= 8) return library;
  const colour = readPngColour(png);
  if (colour.kind === 'embedded' && png.header.bitDepth <= 8) return library;
  if (colour.kind === 'srgb' && colour.isNarrowRange !== true && !png.hasProfile) return library;
  return { kind: 'colour', colour };
}

function interpretHeif(bytes: Uint8Array, format: 'avif' | 'heic'): Interpretation {
  const file = readIsobmff(bytes);
  if (file === undefined) return library;
  const colour = readHeifColour(bytes, file, formatNames[format]);
  if (file.references.some(({ type, from }) => type === 'prem' && from === file.primaryItemId)) {
    return { kind: 'premultiplied', colour };
  }
  const isHighBitDepth = [...file.items.values()].some(({ properties }) =>
    properties.some(
      ({ type, start }) =>
        (type === 'av1C' && ((bytes[start + 2] ?? 0) & 0x40) !== 0) ||
        (type === 'hvcC' && ((bytes[start + 17] ?? 0) & 0x07) !== 0),
    ),
  );
  if (colour.kind === 'srgb' || (colour.kind === 'embedded' && !isHighBitDepth)) return library;
  return { kind: 'colour', colour };
}

function interpretTiff(bytes: Uint8Array): Interpretation {
  const file = readTiff(bytes);
  const layout = file && readTiffLayout(file, selectTiffPage(file).directory);
  if (layout === undefined) return library;
  const { colours, bits, channels, colourChannels, alphaIndex } = layout;
  if (isLab(layout)) return { kind: 'lab', layout };
  // The library converts Y'CbCr only if it is JPEG-compressed or its chroma is subsampled.
  if (colours === 'ycbcr') return layout.isJpeg || layout.isSubsampled ? library : { kind: 'ycbcr', layout };
  const hasOnlyColoursAndAlpha =
    channels === colourChannels || (alphaIndex === colourChannels && channels === colourChannels + 1);
  if (!hasOnlyColoursAndAlpha || isPlanarGrey(layout) || is16BitCmykWithAlpha(layout))
    return { kind: 'channels', layout };
  if (bits < 16 || colours === 'cmyk') return library;
  return layout.profile === undefined ? library : { kind: 'colour', colour: readTiffColour(layout) };
}

/** Returns whether the colours are a variant of L*a*b*. */
export function isLab({ colours }: TiffLayout): boolean {
  return colours === 'lab' || colours === 'icclab' || colours === 'itulab';
}

/** Returns the colour information in a TIFF's profile. */
export function readTiffColour({ profile }: TiffLayout): FileColour {
  return profile !== undefined && isIccProfile(profile) ? { kind: 'embedded', profile } : { kind: 'srgb' };
}
