import { AppError } from '../../errors.ts';
import { type IsobmffStructure, nclxOf, profileOfColr } from '../containers/isobmff.ts';
import type { CodePoints, PngStructure } from '../containers/png.ts';
import { areSrgbPrimaries, gammaCurve, meaningOf, srgbCurve, srgbPrimaries } from './code-points.ts';
import { isIccProfile, writeRgbProfile } from './icc-profile.ts';

/** The colour information of a file. */
export type FileColour =
  /** sRGB or unspecified. An embedded profile, if any, is ignored. */
  | { readonly is: 'srgb'; readonly isNarrowRange?: boolean }
  /** An ICC profile in the file. */
  | { readonly is: 'embedded'; readonly profile: Uint8Array }
  /** Primaries and curve in the file; `profile` is equivalent. */
  | { readonly is: 'named'; readonly profile: Uint8Array; readonly isNarrowRange?: boolean };

/** Encoding exponents beyond these are implausible. */
const [minGamma, maxGamma] = [0.1, 10];

/** The gamma in sRGB files, for readers that do not support the sRGB chunk. */
const gammaOfSrgb = 0.45455;

/**
 * Returns the colours of a PNG, from the first valid chunk of cICP, iCCP, sRGB, and gAMA with cHRM (PNG, third edition,
 * 4.3 and 13.1). A gAMA of 1/2.2 with the sRGB primaries or without cHRM means sRGB: the specification requires it in
 * sRGB files.
 * @throws AppError `picture_unsupported` for high dynamic range.
 */
export function pngColour(png: PngStructure): FileColour {
  const { cicp, isSrgb, gamma, chromaticities } = png;
  // PNG allows no other matrices.
  if (cicp !== undefined && cicp.matrix === 0) return codePointColour(cicp, 'PNG');
  const { iccProfile } = png;
  if (iccProfile !== undefined && isIccProfile(iccProfile)) return { is: 'embedded', profile: iccProfile };
  const isGammaUsable = gamma !== undefined && gamma >= minGamma && gamma <= maxGamma;
  if (isSrgb || (!isGammaUsable && chromaticities === undefined)) return { is: 'srgb' };
  // Grey has no primaries.
  const isGrey = png.header.colorType === 0 || png.header.colorType === 4;
  const primaries = isGrey ? srgbPrimaries : (chromaticities ?? srgbPrimaries);
  const isUsual = !isGammaUsable || Math.abs(gamma - gammaOfSrgb) < 0.0005;
  if (isUsual && areSrgbPrimaries(primaries)) return { is: 'srgb' };
  const profile = writeRgbProfile(primaries, isGammaUsable ? gammaCurve(1 / gamma) : srgbCurve);
  return profile === undefined ? { is: 'srgb' } : { is: 'named', profile };
}

/**
 * Returns the colours of an AVIF's primary picture: an ICC profile, else code points, else sRGB (MIAF, ISO/IEC
 * 23000-22, 7.3.6.4). The decoder has already applied matrix and range.
 * @throws AppError `picture_unsupported` for high dynamic range.
 */
export function avifColour(bytes: Uint8Array, avif: IsobmffStructure): FileColour {
  const boxes = avif.items.get(avif.primaryItem ?? -1)?.properties ?? [];
  const profile = boxes.map((box) => profileOfColr(bytes, box)).find((candidate) => candidate !== undefined);
  if (profile !== undefined && isIccProfile(profile)) return { is: 'embedded', profile };
  const codePoints = boxes.map((box) => nclxOf(bytes, box)).find((candidate) => candidate !== undefined);
  return codePoints === undefined
    ? { is: 'srgb' }
    : codePointColour({ ...codePoints, isFullRange: true }, 'AVIF');
}

function codePointColour({ primaries, transfer, isFullRange }: CodePoints, format: string): FileColour {
  const meaning = meaningOf(primaries, transfer);
  if ('unsupported' in meaning) {
    throw new AppError(
      'picture_unsupported',
      `The ${format} picture uses ${meaning.unsupported}, which cannot be converted to sRGB; save it in a standard ` +
        'dynamic range colour space, such as sRGB or Display P3.',
    );
  }
  const range = isFullRange ? {} : { isNarrowRange: true };
  if (meaning.curve === srgbCurve && meaning.primaries === srgbPrimaries) return { is: 'srgb', ...range };
  const profile = writeRgbProfile(meaning.primaries, meaning.curve);
  return profile === undefined ? { is: 'srgb', ...range } : { is: 'named', profile, ...range };
}
