import type { Colour } from './colours.ts';
import { darker, lighter } from './colours.ts';
import type { Random } from './random.ts';

/** Side from which a product is shown. */
export type View = 'main' | 'back' | 'detail';

/** A part of the canvas. The canvas is 1000 × 1000 and a product fills it from about 120 to 880. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

/** A product drawn on the canvas. */
export interface Drawing {
  /** SVG elements. */
  readonly body: string;
  /** What a detail picture shows. */
  readonly detail: Area;
  /** The product stands on the floor here; without it, it lies or hangs before the wall. */
  readonly stand?: { readonly x: number; readonly y: number; readonly radius: number };
}

/** One kind of product. `random` decides on the product's form, so it must be read the same way for every view. */
export interface ProductKind {
  readonly name: string;
  /** Start of the SKUs of this kind. */
  readonly prefix: string;
  /** Width ÷ height of its pictures. */
  readonly aspect: number;
  draw(colour: Colour, view: View, random: Random): Drawing;
}

/** A definition of a gradient over the width of an element that makes it look round: lit from the left. */
export function roundShading(id: string, hex: string): string {
  return linearGradient(id, [
    [0, darker(hex, 0.42)],
    [0.1, darker(hex, 0.12)],
    [0.3, lighter(hex, 0.3)],
    [0.48, hex],
    [0.82, darker(hex, 0.3)],
    [0.95, darker(hex, 0.48)],
    [1, darker(hex, 0.36)],
  ]);
}

/** A definition of a gradient from left to right, or from top to bottom. */
export function linearGradient(
  id: string,
  stops: readonly (readonly [offset: number, colour: string])[],
  direction: 'across' | 'down' = 'across',
): string {
  const vector = direction === 'across' ? 'x1="0" y1="0" x2="1" y2="0"' : 'x1="0" y1="0" x2="0" y2="1"';
  const list = stops.map(([offset, colour]) => `<stop offset="${offset}" stop-color="${colour}"/>`).join('');
  return `<defs><linearGradient id="${id}" ${vector}>${list}</linearGradient></defs>`;
}

/** Rows of the canvas. */
interface Rows {
  readonly from: number;
  readonly to: number;
}

/**
 * A definition of a blur for what lies in `rows`. A region told by the blurred element's own box would cut off flat
 * elements and drop straight lines; the whole canvas is right for all, but slow.
 */
export function blur(id: string, deviation: number, { from, to }: Rows = { from: 0, to: 1000 }): string {
  const region = `filterUnits="userSpaceOnUse" x="0" y="${from}" width="1000" height="${to - from}"`;
  return `<defs><filter id="${id}" ${region}><feGaussianBlur stdDeviation="${deviation}"/></filter></defs>`;
}

/** A soft light or dark stroke along a path: a fold, a crease, a reflection. */
export type SoftStroke = readonly [path: string, colour: string, width: number, opacity: number];

/** Soft strokes, blurred together because every blur costs as much as the rest of the picture. */
export function softStrokes(blurId: string, strokes: readonly SoftStroke[]): string {
  const paths = strokes.map(
    ([path, colour, width, opacity]) =>
      `<path d="${path}" stroke="${colour}" stroke-width="${width}" opacity="${opacity}"/>`,
  );
  return `<g fill="none" stroke-linecap="round" filter="url(#${blurId})">${paths.join('')}</g>`;
}

/** Elements cut to an outline, so that shading stays on the product. */
export function clipped(id: string, outline: string, elements: string): string {
  return `<defs><clipPath id="${id}"><path d="${outline}"/></clipPath></defs><g clip-path="url(#${id})">${elements}</g>`;
}

/** Elements as seen from the other side. */
export function mirrored(elements: string): string {
  return `<g transform="translate(1000 0) scale(-1 1)">${elements}</g>`;
}

/** A dashed line as a sewing machine makes it. */
export function stitching(path: string, colour: string): string {
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2.4" stroke-dasharray="9 6" opacity="0.75"/>`;
}
