import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset, RenditionFormat } from '../../model/preset.ts';
import type { FormatTrial, PresetTrial } from '../../model/quality.ts';
import { toLuma } from '../colour/luma-and-lab.ts';
import { openPicture } from '../decoding/open-picture.ts';
import { decodeTo, type Pixels, type Raster, resizeTo, toOpaquePixels } from '../decoding/pixels.ts';
import type { Size } from '../geometry.ts';
import { probe } from '../probe.ts';
import { flatten, parseBackground } from '../renditions/assemble.ts';
import { assembleShapes } from '../renditions/assemble-shapes.ts';
import { encode } from '../renditions/encode.ts';
import type { Shape } from '../renditions/rendition-plan.ts';
import { computeSsim } from './metrics.ts';

/** Renditions are compared with the picture at the usual size of the large picture on a product page. */
const comparisonBox = { width: 1200, height: 1200 };

/**
 * Measures the renditions that each preset would produce from a picture, in the order of `presets`. The quality is the SSIM
 * between the picture, scaled down to at most 1200 × 1200 pixels, and the rendition, enlarged to the same size with Lanczos. A
 * low quality means that a viewer would lose much detail. If the preset does not show the whole picture, or shows it in a
 * larger box, the picture is first trimmed, cut and padded in the same way.
 * @throws AppError as `probe` does, or with a code of the `picture_damaged` family.
 */
export async function tryPresets(
  bytes: Uint8Array,
  limits: PictureLimits,
  presets: readonly Preset[],
): Promise<{ readonly facts: PictureFacts; readonly results: readonly PresetTrial[] }> {
  const facts = await probe(bytes, limits);
  const renditionShapes = presets.map((preset): Shape => ({ preset, density: 1, variants: [] }));
  const references = presets.map(makeReferenceShape);
  const rasters = new Map<Shape, Raster>();
  await assembleShapes({ bytes, facts }, [...renditionShapes, ...references], null, (shape, raster) =>
    rasters.set(shape, raster),
  );
  const results: PresetTrial[] = [];
  for (const [index, shape] of renditionShapes.entries()) {
    const [rendition, reference] = [rasters.get(shape), rasters.get(references[index] ?? shape)];
    if (rendition && reference)
      results.push(await tryPreset(shape.preset, rendition, makeReference(reference)));
  }
  return { facts, results };
}

/**
 * Returns a shape that shows the same as the preset, but as large as the comparison box. A higher density does not change the
 * composition.
 */
function makeReferenceShape(preset: Preset): Shape {
  if (preset.fit === 'inside' && preset.trim === null)
    return { preset: { ...preset, ...comparisonBox, enlarge: false }, density: 1, variants: [] };
  const density = Math.max(1, comparisonBox.width / Math.max(preset.width, preset.height));
  return { preset, density, variants: [] };
}

interface Reference extends Size {
  readonly luma: Float32Array;
}

function makeReference(raster: Raster): Reference {
  const { width, height } = raster;
  return { width, height, luma: toLuma(flattenOntoWhite(raster).data) };
}

async function tryPreset(preset: Preset, rendition: Raster, reference: Reference): Promise<PresetTrial> {
  const formats: FormatTrial[] = [];
  for (const format of preset.formats) formats.push(await tryFormat(preset, format, rendition, reference));
  const { width, height } = rendition;
  const [first] = formats;
  return {
    preset: preset.name,
    width,
    height,
    bytes: first?.bytes ?? 0,
    quality: first?.quality ?? 0,
    formats,
  };
}

async function tryFormat(
  preset: Preset,
  format: RenditionFormat,
  rendition: Raster,
  reference: Reference,
): Promise<FormatTrial> {
  const file = await encode(rendition, format, preset.quality[format]);
  const decodedPixels = await decodeTo(openPicture(file, format), rendition);
  const size = { width: reference.width, height: reference.height };
  const enlargedPixels = await resizeTo(decodedPixels, size);
  const quality = computeSsim(reference.luma, toLuma(enlargedPixels.data), reference);
  return { format, bytes: file.length, quality: Math.max(0, quality) };
}

function flattenOntoWhite(raster: Raster): Pixels {
  return toOpaquePixels(flatten(raster, parseBackground('#ffffff')));
}
