import { AppError } from '../../errors.ts';
import { type IsobmffStructure, readNclx, readColrProfile } from '../containers/isobmff.ts';
import type { CodePoints, PngStructure } from '../containers/png.ts';
import {
  areSrgbPrimaries,
  makeGammaCurve,
  interpretCodePoints,
  srgbCurve,
  srgbPrimaries,
} from './code-points.ts';
import { isIccProfile, encodeRgbProfile } from './icc-profile.ts';

/** The colour information of a file. */
export type FileColour =
  /** The colours are sRGB or unspecified. Any embedded profile is ignored. */
  | { readonly kind: 'srgb'; readonly isNarrowRange?: boolean }
  /** The file contains an ICC profile. */
  | { readonly kind: 'embedded'; readonly profile: Uint8Array }
  /** The file declares primaries and a curve. `profile` is the equivalent ICC profile. */
  | { readonly kind: 'declared'; readonly profile: Uint8Array; readonly isNarrowRange?: boolean };

/** Encoding exponents outside this range are implausible and are ignored. */
const [minGamma, maxGamma] = [0.1, 10];

/** The gAMA value that sRGB files contain for readers that do not support the sRGB chunk. */
const srgbGamma = 0.45455;

/**
 * Returns the colour information of a PNG from the first of these chunks that is valid: cICP, iCCP, sRGB, or gAMA with
 * cHRM (PNG, third edition, 4.3 and 13.1). A gAMA of 1/2.2 means sRGB unless cHRM contains different primaries, because
 * the specification requires this value in sRGB files.
 * @throws AppError `picture_unsupported` for colours that cannot be converted, such as high dynamic range.
 */
export function readPngColour(png: PngStructure): FileColour {
  const { cicp, isSrgb, gamma, chromaticities } = png;
  // PNG allows only matrix 0.
  if (cicp !== undefined && cicp.matrix === 0) return resolveCodePoints(cicp, 'PNG');
  const { iccProfile } = png;
  if (iccProfile !== undefined && isIccProfile(iccProfile)) return { kind: 'embedded', profile: iccProfile };
  const isGammaUsable = gamma !== undefined && gamma >= minGamma && gamma <= maxGamma;
  if (isSrgb || (!isGammaUsable && chromaticities === undefined)) return { kind: 'srgb' };
  // Grey pictures have no primaries.
  const isGrey = png.header.colorType === 0 || png.header.colorType === 4;
  const primaries = isGrey ? srgbPrimaries : (chromaticities ?? srgbPrimaries);
  const isSrgbGamma = !isGammaUsable || Math.abs(gamma - srgbGamma) < 0.0005;
  if (isSrgbGamma && areSrgbPrimaries(primaries)) return { kind: 'srgb' };
  const profile = encodeRgbProfile(primaries, isGammaUsable ? makeGammaCurve(1 / gamma) : srgbCurve);
  return profile === undefined ? { kind: 'srgb' } : { kind: 'declared', profile };
}

/**
 * Returns the colour information of the primary picture of an AVIF or HEIC file from its ICC profile or, if it has none, from
 * its code points. If both are missing, the colours are sRGB (MIAF, ISO/IEC 23000-22, 7.3.6.4). The decoder has already applied
 * the matrix and the range.
 * @param format name of the format, for messages
 * @throws AppError `picture_unsupported` for colours that cannot be converted, such as high dynamic range.
 */
export function readHeifColour(bytes: Uint8Array, file: IsobmffStructure, format: string): FileColour {
  const boxes = file.items.get(file.primaryItemId ?? -1)?.properties ?? [];
  const profile = boxes
    .map((box) => readColrProfile(bytes, box))
    .find((candidate) => candidate !== undefined);
  if (profile !== undefined && isIccProfile(profile)) return { kind: 'embedded', profile };
  const codePoints = boxes.map((box) => readNclx(bytes, box)).find((candidate) => candidate !== undefined);
  return codePoints === undefined
    ? { kind: 'srgb' }
    : resolveCodePoints({ ...codePoints, isFullRange: true }, format);
}

function resolveCodePoints({ primaries, transfer, isFullRange }: CodePoints, format: string): FileColour {
  const meaning = interpretCodePoints(primaries, transfer);
  if ('unsupported' in meaning) {
    throw new AppError(
      'picture_unsupported',
      `The ${format} image uses ${meaning.unsupported}, which cannot be converted to sRGB; save it with ` +
        'standard dynamic range in a colour space such as sRGB or Display P3.',
    );
  }
  const range = isFullRange ? {} : { isNarrowRange: true };
  if (meaning.curve === srgbCurve && meaning.primaries === srgbPrimaries) return { kind: 'srgb', ...range };
  const profile = encodeRgbProfile(meaning.primaries, meaning.curve);
  return profile === undefined ? { kind: 'srgb', ...range } : { kind: 'declared', profile, ...range };
}
