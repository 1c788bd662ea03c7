import type { Preset, Variant } from '../../model/preset.ts';
import { fitInside, type Size } from '../geometry.ts';

/**
 * How a rendition is made from its content, which is the picture or its trimmed part. The content is scaled to `scaled`, cropped
 * to `kept`, enlarged to `placed`, and placed on a background of size `output`.
 */
export interface Composition {
  readonly scaled: Size;
  readonly kept: Size;
  readonly placed: Size;
  /** Position of the placed part in the rendition, in pixels. */
  readonly left: number;
  readonly top: number;
  /** Size of the rendition. */
  readonly output: Size;
}

/** Returns how a variant is made from content of the given size. Nothing is enlarged unless the preset allows it. */
export function composeVariant(content: Size, { preset, density }: Variant): Composition {
  if (preset.fit === 'cover') return composeCover(content, preset, density);
  if (preset.fit === 'pad') return composePadded(content, preset, density);
  return composeInside(content, preset, density);
}

/**
 * Returns the size of a variant's file for a picture of the given size. Returns `undefined` if the preset trims pictures,
 * because the size then depends on the pixels.
 */
export function variantSize(picture: Size, variant: Variant): Size | undefined {
  return variant.preset.trim === null ? composeVariant(picture, variant).output : undefined;
}

/** Returns the size that no file of a variant exceeds, for any picture. */
export function maxVariantSize({ preset, density }: Variant): Size {
  return roundSize(preset, density);
}

function composeInside(content: Size, preset: Preset, density: number): Composition {
  if (marginShare(preset) === 0) {
    const box = roundSize(preset, density);
    return placeWhole(preset.enlarge ? scaleInto(content, box) : fitInside(content, box));
  }
  const { output: box, scaled } = composePadded(content, preset, density);
  const margin = {
    width: Math.round((marginShare(preset) * box.width) / 2) * 2,
    height: Math.round((marginShare(preset) * box.height) / 2) * 2,
  };
  const output = {
    width: Math.min(box.width, scaled.width + margin.width),
    height: Math.min(box.height, scaled.height + margin.height),
  };
  return centre(scaled, output);
}

function composePadded(content: Size, preset: Preset, density: number): Composition {
  const share = 1 - marginShare(preset);
  const inner = { width: preset.width * share, height: preset.height * share };
  // The largest density at which the content still fills the box without being enlarged.
  const fullDensity = Math.max(content.width / inner.width, content.height / inner.height);
  const usedDensity = preset.enlarge ? density : Math.max(1, Math.min(density, fullDensity));
  const output = roundSize(preset, usedDensity);
  const room = roundSize(inner, usedDensity);
  return centre(preset.enlarge ? scaleInto(content, room) : fitInside(content, room), output);
}

function composeCover(content: Size, preset: Preset, density: number): Composition {
  const fullDensity = Math.min(content.width / preset.width, content.height / preset.height);
  const output = roundSize(preset, preset.enlarge ? density : Math.min(density, fullDensity));
  const scale = Math.max(output.width / content.width, output.height / content.height);
  if (scale <= 1) {
    const scaled = {
      width: Math.max(output.width, Math.round(content.width * scale)),
      height: Math.max(output.height, Math.round(content.height * scale)),
    };
    return { scaled, kept: output, placed: output, left: 0, top: 0, output };
  }
  // Cropping first limits the memory: a strip of 16,000 × 1 pixels would otherwise be scaled to fill the box.
  const kept = {
    width: clampSide(output.width / scale, content.width),
    height: clampSide(output.height / scale, content.height),
  };
  return { scaled: content, kept, placed: output, left: 0, top: 0, output };
}

/** Returns the share of the box that both margins take up together, in each direction. */
function marginShare({ trim }: Preset): number {
  return ((trim?.margin ?? 0) * 2) / 100;
}

function placeWhole(size: Size): Composition {
  return { scaled: size, kept: size, placed: size, left: 0, top: 0, output: size };
}

function centre(scaled: Size, output: Size): Composition {
  return {
    ...placeWhole(scaled),
    left: Math.floor((output.width - scaled.width) / 2),
    top: Math.floor((output.height - scaled.height) / 2),
    output,
  };
}

/** Like `fitInside`, but also enlarges the source. */
function scaleInto(source: Size, box: Size): Size {
  const scale = Math.min(box.width / source.width, box.height / source.height);
  return {
    width: clampSide(source.width * scale, box.width),
    height: clampSide(source.height * scale, box.height),
  };
}

function roundSize({ width, height }: Size, factor: number): Size {
  return {
    width: Math.max(1, Math.round(width * factor)),
    height: Math.max(1, Math.round(height * factor)),
  };
}

function clampSide(side: number, max: number): number {
  return Math.max(1, Math.min(Math.round(side), max));
}
