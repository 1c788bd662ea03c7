import type { PictureFacts } from '../../model/picture.ts';
import type { FocalPoint } from '../../model/preset.ts';
import { type DecodeEffort, decodePicture, decodeWithAlpha } from '../decoding/decode-picture.ts';
import {
  type Pixels,
  type Raster,
  resizeRaster,
  toOpaquePixels,
  toOpaqueRaster,
} from '../decoding/pixels.ts';
import { fitInside, isAsLargeAs, type Rectangle, type Size } from '../geometry.ts';
import { cut, flatten, parseBackground, placeOn } from './assemble.ts';
import { type Composition, composeVariant } from './composition.ts';
import { selectCut } from './focus.ts';
import { coveringSize, planLayers, type Shape } from './rendition-plan.ts';
import { findContent } from './trim.ts';

/** A picture whose limits have been checked. */
export interface SourcePicture {
  readonly bytes: Uint8Array;
  readonly facts: PictureFacts;
  /** Default: `full`. */
  readonly decodeEffort?: DecodeEffort;
}

/** Receives the pixels of a shape as soon as they are complete. */
export type OnAssembled = (shape: Shape, raster: Raster) => void;

/** Borders are detected at this size or larger, so that their position is exact to 0.1 % of the picture. */
const trimBox = { width: 1000, height: 1000 };

/**
 * Makes the pixels of each shape. Decodes the picture once, at the size of the largest shape. Decodes it again only with alpha,
 * if it has an alpha channel and a shape needs it; and at a larger size, if the trimmed part is too small.
 * @returns opaque copies of the whole picture, largest first, which may also serve other purposes.
 * @throws AppError with a code of the `picture_damaged` family.
 */
export async function assembleShapes(
  picture: SourcePicture,
  shapes: readonly Shape[],
  focalPoint: FocalPoint | null,
  onAssembled: OnAssembled,
): Promise<readonly Pixels[]> {
  const { false: opaqueShapes = [], true: alphaShapes = [] } = Object.groupBy(
    shapes,
    (shape): 'true' | 'false' => `${needsAlpha(picture.facts, shape)}`,
  );
  const opaqueLayers = await assembleGroup(
    picture,
    opaqueShapes,
    focalPoint,
    async (size) =>
      toOpaqueRaster(await decodePicture(picture.bytes, picture.facts, size, picture.decodeEffort)),
    onAssembled,
  );
  await assembleGroup(
    picture,
    alphaShapes,
    focalPoint,
    (size) => decodeWithAlpha(picture.bytes, picture.facts, size),
    onAssembled,
  );
  return opaqueLayers.map(toOpaquePixels);
}

/** Returns whether the alpha channel makes a difference. Opaque decoding flattens transparent parts onto white anyway. */
function needsAlpha({ hasAlpha, format }: PictureFacts, { preset }: Shape): boolean {
  // A GIF without a transparent colour is still transparent where its first frame does not cover the canvas.
  const mayBeTransparent = hasAlpha || format === 'gif';
  return mayBeTransparent && (preset.background !== '#ffffff' || preset.trim !== null);
}

type Decode = (size: Size) => Promise<Raster>;

async function assembleGroup(
  { facts }: SourcePicture,
  shapes: readonly Shape[],
  focalPoint: FocalPoint | null,
  decode: Decode,
  onAssembled: OnAssembled,
): Promise<readonly Raster[]> {
  if (shapes.length === 0) return [];
  const whole = { left: 0, top: 0, width: facts.width, height: facts.height };
  const untrimmedShapes = shapes.filter(({ preset }) => preset.trim === null);
  const trimmedShapes = shapes.filter(({ preset }) => preset.trim !== null);
  const compose = (shape: Shape) => composeVariant(whole, { ...shape, format: 'jpeg' });
  const sizes = untrimmedShapes.map((shape) => compose(shape).scaled);
  const trimSizes = trimmedShapes.flatMap((shape) => [compose(shape).scaled, fitInside(facts, trimBox)]);
  const base = await decode(coveringSize([...sizes, ...trimSizes], facts));
  const layers: Raster[] = [];
  // Each shape is passed on as soon as its layer exists, so that it is encoded while the next layer is being made.
  for (const { size, sourceIndex } of planLayers(sizes, facts)) {
    const source = sourceIndex === undefined ? base : (layers[sourceIndex] ?? base);
    const layer = await resizeRaster(source, size);
    layers.push(layer);
    for (const shape of untrimmedShapes) {
      const composition = compose(shape);
      if (!hasSize(layer, composition.scaled)) continue;
      onAssembled(shape, await assembleShape(layer, shape, composition, focalPoint));
    }
  }
  await assembleTrimmed({ facts, base, focalPoint, decode, onAssembled }, trimmedShapes);
  const isNotEnlarged = (layer: Raster) => isAsLargeAs(facts, layer);
  return [base, ...layers].filter(isNotEnlarged);
}

interface TrimContext {
  readonly facts: Size;
  readonly base: Raster;
  readonly focalPoint: FocalPoint | null;
  readonly decode: Decode;
  readonly onAssembled: OnAssembled;
}

/** The content of a picture for a trimmed shape. */
interface TrimmedShape {
  readonly shape: Shape;
  /** Position of the content in the base. */
  readonly area: Rectangle;
  readonly composition: Composition;
  /** Size of the whole picture at which the content is as large as the composition needs it. */
  readonly neededSize: Size;
}

async function assembleTrimmed(context: TrimContext, shapes: readonly Shape[]): Promise<void> {
  if (shapes.length === 0) return;
  const { facts, base, decode, onAssembled } = context;
  const trimmedShapes = shapes.map((shape) => findTrimmedContent(context, shape));
  const neededSize = coveringSize(
    trimmedShapes.map((trimmed) => trimmed.neededSize),
    facts,
  );
  const source = isAsLargeAs(base, neededSize) ? base : await decode(neededSize);
  for (const { shape, area, composition } of trimmedShapes) {
    const sourceArea = scaleOutwards(area, base, source);
    const content = await resizeRaster(cut(source, sourceArea), composition.scaled);
    const focalPoint = context.focalPoint && toContentPoint(context.focalPoint, sourceArea, source);
    onAssembled(shape, await assembleShape(content, shape, composition, focalPoint));
  }
}

function findTrimmedContent({ facts, base }: TrimContext, shape: Shape): TrimmedShape {
  const area = findContent(base, shape.preset.trim?.tolerance ?? 0);
  const content = scaleOutwards(area, base, facts);
  const composition = composeVariant(content, { ...shape, format: 'jpeg' });
  const { scaled } = composition;
  const neededSize = {
    width: Math.ceil((facts.width * scaled.width) / content.width),
    height: Math.ceil((facts.height * scaled.height) / content.height),
  };
  return { shape, area, composition, neededSize };
}

/** Converts a rectangle to the pixels of a copy of another size. Pixels that are only partly inside count as inside. */
function scaleOutwards(area: Rectangle, from: Size, to: Size): Rectangle {
  const left = Math.floor((area.left * to.width) / from.width);
  const top = Math.floor((area.top * to.height) / from.height);
  return {
    left,
    top,
    width: Math.ceil(((area.left + area.width) * to.width) / from.width) - left,
    height: Math.ceil(((area.top + area.height) * to.height) / from.height) - top,
  };
}

function toContentPoint({ x, y }: FocalPoint, area: Rectangle, picture: Size): FocalPoint {
  return {
    x: (x * picture.width - area.left) / area.width,
    y: (y * picture.height - area.top) / area.height,
  };
}

/** Completes a shape from content that already has the scaled size of its composition. */
async function assembleShape(
  content: Raster,
  { preset }: Shape,
  composition: Composition,
  focalPoint: FocalPoint | null,
): Promise<Raster> {
  const { kept, placed, output } = composition;
  const background = parseBackground(preset.background);
  const keptPart = cut(content, await selectCut(content, kept, preset.focus, focalPoint));
  const placedPart = flatten(await resizeRaster(keptPart, placed), background);
  return placeOn(placedPart, background, composition, output);
}

function hasSize(raster: Size, { width, height }: Size): boolean {
  return raster.width === width && raster.height === height;
}
