import { z } from 'zod';
import type { PictureLimits } from '../../model/picture.ts';
import { type RenditionFormat, renditionFormats, type Variant } from '../../model/preset.ts';
import type { PresetTrial } from '../../model/quality.ts';
import type { Size } from '../geometry.ts';
import { maxAnimationPixels, maxSide } from '../limits.ts';
import { maxVariantSize, variantSize } from '../renditions/composition.ts';
import type { EncodedRendition } from '../renditions/derive-renditions.ts';
import { assertValid, InvalidResponse } from './invalid-response.ts';
import type { TryPresetsRequest } from './messages.ts';

/** Schema of a width or a height. */
export const sideSchema = z.int().min(1).max(maxSide);

/** Schema of a similarity. Rounding may raise the similarity of identical pictures slightly above 1. */
export const similaritySchema = z.number().min(-1.000_001).max(1.000_001);

const bytesSchema = z.int().min(1);

/** Schema of the declaration of a rendition, whose bytes are in the payload. */
export const renditionSchema = z.strictObject({
  preset: z.string(),
  format: z.enum(renditionFormats),
  density: z.number(),
  width: sideSchema,
  height: sideSchema,
  bytes: bytesSchema,
});

type DeclaredRendition = z.output<typeof renditionSchema>;

/** Schema of the results of a preset. */
export const trialSchema = z.strictObject({
  preset: z.string(),
  width: sideSchema,
  height: sideSchema,
  bytes: bytesSchema,
  quality: similaritySchema,
  formats: z.array(
    z.strictObject({
      format: z.enum(renditionFormats),
      bytes: bytesSchema,
      quality: similaritySchema,
    }),
  ),
}) satisfies z.ZodType<PresetTrial>;

/** Returns the maximum number of bytes of a task's renditions together. */
export function maxRenditionsPayload(variants: readonly Variant[], limits: PictureLimits): number {
  return variants.reduce((sum, variant) => sum + maxFileBytes(maxPixelCount(variant, limits)), 0);
}

/** Returns the maximum number of pixels in all frames of a variant. */
function maxPixelCount(variant: Variant, limits: PictureLimits): number {
  const { preset, format } = variant;
  const { width, height } = maxVariantSize(variant);
  const isWithinPicture = preset.fit !== 'pad' && preset.trim === null && !preset.enlarge;
  const pixels = isWithinPicture ? Math.min(width * height, limits.maxPixels) : width * height;
  return preset.animation === 'keep' && format === 'webp' ? Math.max(pixels, maxAnimationPixels) : pixels;
}

/**
 * Returns the maximum size of a rendition. A baseline JPEG encodes a sample in at most 26 bits (a 16-bit code and a
 * 10-bit value) and therefore a pixel in at most 9.75 bytes. The other formats need less, as PNG stores at most 4 bytes for a
 * pixel. The remainder covers headers, metadata and byte stuffing.
 */
function maxFileBytes(pixels: number): number {
  return pixels * 10 + 65_536;
}

/**
 * Checks declared renditions against the requested variants, and assigns the payload to them.
 * @param picture size of the upright picture
 * @throws {InvalidResponse}
 */
export function readRenditions(
  picture: Size,
  variants: readonly Variant[],
  declared: readonly DeclaredRendition[],
  payload: Buffer,
): EncodedRendition[] {
  assertValid(
    variants.length === declared.length,
    `The response has ${declared.length} renditions instead of ${variants.length}.`,
  );
  let offset = 0;
  const renditions = variants.map((variant, index): EncodedRendition => {
    const rendition = declared[index];
    if (!rendition || !isRequested(rendition, variant, picture))
      throw new InvalidResponse(`The rendition ${variant.preset.name} was expected.`);
    const { width, height, bytes } = rendition;
    assertValid(
      bytes <= maxFileBytes(countPixels(rendition, variant)),
      `A rendition has ${bytes} bytes, which is too many for its width and height.`,
    );
    const data = payload.subarray(offset, (offset += bytes));
    assertValid(hasSignature[variant.format](data), `A rendition is not in the format ${variant.format}.`);
    return { ...variant, width, height, data };
  });
  assertValid(offset === payload.length, `The payload has ${payload.length} bytes instead of ${offset}.`);
  return renditions;
}

function isRequested(
  { preset, format, density, ...size }: DeclaredRendition,
  variant: Variant,
  picture: Size,
): boolean {
  const isSameVariant =
    preset === variant.preset.name && format === variant.format && density === variant.density;
  return isSameVariant && hasExpectedSize(size, variant, picture);
}

/** The size of a trimmed rendition depends on the pixels, so only its maximum is known here. */
function hasExpectedSize({ width, height }: Size, variant: Variant, picture: Size): boolean {
  const size = variantSize(picture, variant);
  if (size !== undefined) return width === size.width && height === size.height;
  const maxSize = maxVariantSize(variant);
  return width <= maxSize.width && height <= maxSize.height;
}

function countPixels({ width, height }: Size, { preset, format }: Variant): number {
  const pixels = width * height;
  return preset.animation === 'keep' && format === 'webp' ? Math.max(pixels, maxAnimationPixels) : pixels;
}

/** Checks the start of a file, and the end if it is fixed. The data between them is not verified. */
const hasSignature: Readonly<Record<RenditionFormat, (data: Buffer) => boolean>> = {
  jpeg: (data) =>
    data.length > 4 && data.readUInt16BE(0) === 0xffd8 && data.readUInt16BE(data.length - 2) === 0xffd9,
  png: (data) => data.toString('latin1', 0, 8) === '\x89PNG\r\n\x1a\n',
  webp: (data) => data.toString('latin1', 0, 4) === 'RIFF' && data.toString('latin1', 8, 12) === 'WEBP',
  avif: (data) => data.toString('latin1', 4, 12) === 'ftypavif',
};

/** Checks the results of trying presets against the request. @throws {InvalidResponse} */
export function checkTrials(
  { presets }: TryPresetsRequest,
  picture: Size,
  trials: readonly PresetTrial[],
): void {
  assertValid(
    trials.length === presets.length,
    `The response has ${trials.length} trials instead of ${presets.length}.`,
  );
  for (const [index, preset] of presets.entries()) {
    const trial = trials[index];
    const variant: Variant = { preset, format: 'jpeg', density: 1 };
    const hasRequestedFormats = preset.formats.join() === trial?.formats.map(({ format }) => format).join();
    const isExpected =
      trial?.preset === preset.name && hasRequestedFormats && hasExpectedSize(trial, variant, picture);
    assertValid(isExpected, `The trial of ${preset.name} was expected.`);
    const largestBytes = Math.max(trial.bytes, ...trial.formats.map(({ bytes }) => bytes));
    assertValid(
      largestBytes <= maxFileBytes(trial.width * trial.height),
      `The trial of ${preset.name} has too many bytes.`,
    );
  }
}
