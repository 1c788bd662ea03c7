import type { FocalPoint, Variant } from '../../model/preset.ts';
import { sharp } from '../decoding/native-library.ts';
import { type Raster, resizeRaster } from '../decoding/pixels.ts';
import type { PictureFacts } from '../../model/picture.ts';
import type { Size } from '../geometry.ts';
import { maxAnimationFrames, maxAnimationPixels } from '../limits.ts';
import type { KeptMetadata } from '../metadata/kept-metadata.ts';
import { cut, flatten, parseBackground, placeOn } from './assemble.ts';
import type { SourcePicture } from './assemble-shapes.ts';
import { type Composition, composeVariant } from './composition.ts';
import { encodeAnimation } from './encode.ts';
import { selectCut } from './focus.ts';

/** Largest number of pixels in all frames of an original. All frames are in memory at once, with 4 bytes per pixel. */
const maxDecodedPixels = 60e6;

/** An encoded animation. */
export interface EncodedAnimation extends Size {
  readonly data: Buffer;
}

/**
 * Renders a variant with all frames of an animated picture, their delays and the loop count. Returns `undefined` if the variant
 * shows only the first frame: if the picture or the preset is not animated, if the animation exceeds a limit, or if one of its
 * later frames is damaged.
 */
export async function renderAnimation(
  picture: SourcePicture,
  variant: Variant,
  focalPoint: FocalPoint | null,
  metadata: KeptMetadata | undefined,
): Promise<EncodedAnimation | undefined> {
  const { bytes, facts } = picture;
  const composition = composeVariant(facts, variant);
  if (!mayBeAnimated(facts, variant, composition)) return undefined;
  try {
    const frames = await decodeFrames(bytes, facts, composition.scaled);
    return frames && (await encodeFrames(frames, variant, composition, focalPoint, metadata));
  } catch {
    // Damage in the first frame is reported when the still image is decoded.
    return undefined;
  }
}

function mayBeAnimated(
  { format, frames, width, height }: PictureFacts,
  variant: Variant,
  { scaled, output }: Composition,
): boolean {
  const isAnimated = frames > 1 && (format === 'gif' || format === 'webp');
  const keepsAnimation = variant.format === 'webp' && variant.preset.animation === 'keep';
  const renderedPixels = Math.max(scaled.width * scaled.height, output.width * output.height);
  return (
    isAnimated &&
    keepsAnimation &&
    frames <= maxAnimationFrames &&
    frames * width * height <= maxDecodedPixels &&
    frames * renderedPixels <= maxAnimationPixels
  );
}

interface Frames {
  readonly rasters: readonly Raster[];
  /** In milliseconds. */
  readonly delays: number[];
  /** Loop count; 0 for an endless loop. */
  readonly loop: number;
}

async function decodeFrames(
  bytes: Uint8Array,
  facts: PictureFacts,
  { width, height }: Size,
): Promise<Frames | undefined> {
  const image = sharp(bytes, {
    animated: true,
    limitInputPixels: false,
    sequentialRead: false,
    failOn: 'error',
  });
  const {
    pages = 1,
    pageHeight,
    width: pageWidth,
    delay = [],
    loop = 0,
    orientation = 1,
  } = await image.metadata();
  // The library shows a different area than browsers do if a frame of a GIF exceeds the canvas, and does not rotate animations.
  if (pageWidth !== facts.width || pageHeight !== facts.height || orientation !== 1) return undefined;
  const { data, info } = await image
    .ensureAlpha()
    .resize({ width, height, fit: 'fill', fastShrinkOnLoad: false })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 4 || info.height !== height * pages) return undefined;
  const frameBytes = width * height * 4;
  const rasters = Array.from({ length: pages }, (_, page): Raster => {
    return { width, height, channels: 4, data: data.subarray(page * frameBytes, (page + 1) * frameBytes) };
  });
  return { rasters, delays: delay, loop };
}

async function encodeFrames(
  { rasters, delays, loop }: Frames,
  { preset }: Variant,
  composition: Composition,
  focalPoint: FocalPoint | null,
  metadata: KeptMetadata | undefined,
): Promise<EncodedAnimation | undefined> {
  const [first] = rasters;
  if (first === undefined) return undefined;
  const { kept, placed, output } = composition;
  const background = parseBackground(preset.background);
  // All frames are cropped to the same part.
  const part = await selectCut(first, kept, preset.focus, focalPoint);
  const assembledFrames: Raster[] = [];
  for (const raster of rasters) {
    const placedPart = flatten(await resizeRaster(cut(raster, part), placed), background);
    assembledFrames.push(placeOn(placedPart, background, composition, output));
  }
  const channels = background === undefined ? 4 : 3;
  const image = sharp(Buffer.concat(assembledFrames.map((frame) => frame.data)), {
    raw: { ...output, height: output.height * rasters.length, channels, pageHeight: output.height },
    limitInputPixels: false,
  });
  const data = await encodeAnimation(image, preset.quality.webp, { delay: delays, loop }, metadata);
  return { ...output, data };
}
