import type { Sharp } from 'sharp';
import type { Size } from '../geometry.ts';
import type { Pixels } from './pixels.ts';
import { fromSamples, readSamples, type Samples } from './samples.ts';
import { decodeTo, exactly } from './steps.ts';
import { changesColours, convertSamples, layOnWhite, widenRange } from '../colour/convert.ts';
import type { FileColour } from '../colour/file-colour.ts';
import { spaceOfProfile } from '../colour/icc-profile.ts';

/** Depth and colours of samples, as the image library represents them. */
export interface NumberKind {
  readonly isDeep: boolean;
  readonly isGrey: boolean;
}

/** Kind of samples that the library produces for a source. */
export async function kindOf(source: Sharp): Promise<NumberKind> {
  const { depth, space } = await source.metadata();
  return { isDeep: depth === 'ushort', isGrey: space === 'b-w' || space === 'grey16' };
}

/**
 * Converts unconverted samples of a source to opaque sRGB of exactly `size`. They are resized first: the conversion
 * costs more than the resize, and only this way does 16-bit grey keep its profile.
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

/** The same for grey or RGB samples in memory. */
export async function decodeSamples(samples: Samples, size: Size, colour: FileColour): Promise<Pixels> {
  const kind = { isDeep: samples.data instanceof Uint16Array, isGrey: samples.channels <= 2 };
  return decodeColour(fromSamples(samples), kind, size, colour);
}

/** The profile to convert samples with; none if it means sRGB, is broken or does not match the channels. */
async function usableProfile(colour: FileColour, kind: NumberKind): Promise<Uint8Array | undefined> {
  if (colour.is === 'srgb') return undefined;
  if (colour.is === 'named') return colour.profile;
  const space = spaceOfProfile(colour.profile);
  if (space === 'GRAY') return kind.isGrey ? colour.profile : undefined;
  return space === 'RGB ' && (await changesColours(colour.profile)) ? colour.profile : undefined;
}
