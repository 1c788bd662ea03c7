import type { PictureFormat } from '../../model/picture.ts';
import { avifColour, type FileColour, pngColour } from '../colour/file-colour.ts';
import { isIccProfile } from '../colour/icc-profile.ts';
import { type GifFrame, readGif } from '../containers/gif.ts';
import { readIsobmff } from '../containers/isobmff.ts';
import { readPng } from '../containers/png.ts';
import { readTiff } from '../containers/tiff.ts';
import type { Size } from '../geometry.ts';
import { isDeepCmykWithAlpha, isPlanarGrey, type TiffLayout, tiffLayout } from '../containers/tiff-layout.ts';
import { usedTiffPage } from '../containers/tiff-pages.ts';

/** How to convert a file's samples to colours. */
export type Interpretation =
  /** The image library converts it correctly. */
  | { readonly by: 'library' }
  /** The raw samples need a conversion that the library gets wrong. */
  | { readonly by: 'colour'; readonly colour: FileColour }
  /** The same, but the colours are premultiplied. */
  | { readonly by: 'premultiplied'; readonly colour: FileColour }
  /** A TIFF with channels that the library misinterprets. */
  | { readonly by: 'channels'; readonly layout: TiffLayout }
  /** A TIFF in L*a*b*. */
  | { readonly by: 'lab'; readonly layout: TiffLayout }
  /**
   * A GIF whose first frame does not exactly cover its screen. The library fills uncovered areas with black, and
   * enlarges the picture to include areas outside the screen; browsers show the screen only.
   */
  | { readonly by: 'screen'; readonly screen: Size; readonly frame: GifFrame }
  /** A TIFF in Y'CbCr that the library does not convert. */
  | { readonly by: 'ycbcr'; readonly layout: TiffLayout };

const library: Interpretation = { by: 'library' };

/**
 * Decides from the container how to decode a picture. Leaves ordinary pictures, and all formats without special cases,
 * to the library.
 * @throws AppError `picture_unsupported` for colours or samples that cannot be converted to sRGB.
 */
export function interpret(bytes: Uint8Array, format: PictureFormat): Interpretation {
  if (format === 'png') return interpretPng(bytes);
  if (format === 'avif') return interpretAvif(bytes);
  if (format === 'gif') return interpretGif(bytes);
  return format === 'tiff' ? interpretTiff(bytes) : library;
}

function interpretGif(bytes: Uint8Array): Interpretation {
  const gif = readGif(bytes);
  if (gif?.first === undefined) return library;
  const { left, top, width, height } = gif.first;
  // A frame larger than the screen replaces it, as in browsers.
  const screen = { width: Math.max(gif.width, width), height: Math.max(gif.height, height) };
  const isWhole = left === 0 && top === 0 && width === screen.width && height === screen.height;
  return isWhole ? library : { by: 'screen', screen, frame: gif.first };
}

function interpretPng(bytes: Uint8Array): Interpretation {
  const png = readPng(bytes);
  if (png === undefined) return library;
  const isNamed = png.cicp !== undefined || png.gamma !== undefined || png.chromaticities !== undefined;
  // The library converts embedded profiles correctly only for pictures with 8 bits.
  if (!isNamed && png.header.bitDepth <= 8) return library;
  const colour = pngColour(png);
  if (colour.is === 'embedded' && png.header.bitDepth <= 8) return library;
  if (colour.is === 'srgb' && colour.isNarrowRange !== true && !png.hasProfile) return library;
  return { by: 'colour', colour };
}

function interpretAvif(bytes: Uint8Array): Interpretation {
  const avif = readIsobmff(bytes);
  if (avif === undefined) return library;
  const colour = avifColour(bytes, avif);
  if (avif.references.some(({ type, from }) => type === 'prem' && from === avif.primaryItem)) {
    return { by: 'premultiplied', colour };
  }
  const isDeep = [...avif.items.values()].some(({ properties }) =>
    properties.some(({ type, start }) => type === 'av1C' && ((bytes[start + 2] ?? 0) & 0x40) !== 0),
  );
  if (colour.is === 'srgb' || (colour.is === 'embedded' && !isDeep)) return library;
  return { by: 'colour', colour };
}

function interpretTiff(bytes: Uint8Array): Interpretation {
  const file = readTiff(bytes);
  const layout = file && tiffLayout(file, usedTiffPage(file).directory);
  if (layout === undefined) return library;
  const { colours, bits, channels, colourChannels, alpha } = layout;
  if (isLab(layout)) return { by: 'lab', layout };
  // The library leaves the conversion to libtiff only for subsampled chroma.
  if (colours === 'ycbcr') return layout.isJpeg || layout.isSubsampled ? library : { by: 'ycbcr', layout };
  const isPlain =
    channels === colourChannels || (alpha === colourChannels && channels === colourChannels + 1);
  if (!isPlain || isPlanarGrey(layout) || isDeepCmykWithAlpha(layout)) return { by: 'channels', layout };
  if (bits < 16 || colours === 'cmyk') return library;
  return layout.profile === undefined ? library : { by: 'colour', colour: tiffColour(layout) };
}

/** Returns whether the colours are a variant of L*a*b*. */
export function isLab({ colours }: TiffLayout): boolean {
  return colours === 'lab' || colours === 'icclab' || colours === 'itulab';
}

/** Returns the colours that a TIFF's profile declares. */
export function tiffColour({ profile }: TiffLayout): FileColour {
  return profile !== undefined && isIccProfile(profile) ? { is: 'embedded', profile } : { is: 'srgb' };
}
