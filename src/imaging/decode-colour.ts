import type { Sharp } from 'sharp';
import type { Size } from './geometry.ts';
import type { Pixels } from './pixels.ts';
import { fromSamples, readSamples, type Samples } from './samples.ts';
import { decodeTo, exactly } from './steps.ts';
import { changesColours, convertSamples, layOnWhite, widenRange } from './colour/convert.ts';
import type { FileColour } from './colour/file-colour.ts';
import { spaceOfProfile } from './colour/icc-profile.ts';

/** Depth and colours of numbers, as the image library has them. */
export interface NumberKind {
  readonly isDeep: boolean;
  readonly isGrey: boolean;
}

/** Kind of the numbers that the library makes of a source. */
export async function kindOf(source: Sharp): Promise<NumberKind> {
  const { depth, space } = await source.metadata();
  return { isDeep: depth === 'ushort', isGrey: space === 'b-w' || space === 'grey16' };
}

/**
 * Numbers of a source, which the library does not convert, to opaque sRGB of exactly `size`. They are resized as they
 * are: the conversion costs more than the resize, and only so 16-bit grey keeps its profile.
 */
export async function decodeColour(
  source: Sharp,
  kind: NumberKind,
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

/** The same for samples of grey or RGB in memory. */
export async function decodeSamples(samples: Samples, size: Size, colour: FileColour): Promise<Pixels> {
  const kind = { isDeep: samples.data instanceof Uint16Array, isGrey: samples.channels <= 2 };
  return decodeColour(fromSamples(samples), kind, size, colour);
}

/** The profile that numbers are to be converted by; none where it says sRGB, is broken or is one of other channels. */
async function usableProfile(colour: FileColour, kind: NumberKind): Promise<Uint8Array | undefined> {
  if (colour.is === 'srgb') return undefined;
  if (colour.is === 'named') return colour.profile;
  const space = spaceOfProfile(colour.profile);
  if (space === 'GRAY') return kind.isGrey ? colour.profile : undefined;
  return space === 'RGB ' && (await changesColours(colour.profile)) ? colour.profile : undefined;
}
