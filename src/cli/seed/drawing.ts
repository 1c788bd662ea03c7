import { type Colour, darken, lighten } from './colours.ts';
import type { Random } from './random.ts';

/** A view of a product. */
export type View = 'main' | 'back' | 'detail';

/** A square area of the canvas, which is 1000 × 1000. A product's coordinates range from about 120 to 880. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

/** A product on the canvas. */
export interface Drawing {
  /** SVG elements. */
  readonly body: string;
  /** The area that the detail view shows. */
  readonly detail: Area;
  /** Where the product touches the floor. Absent if the product lies flat or hangs. */
  readonly floorContact?: { readonly x: number; readonly y: number; readonly radius: number };
}

/**
 * A kind of product. `random` determines the shape, so every view must take the same numbers from it, in the same
 * order.
 */
export interface ProductKind {
  readonly name: string;
  /** SKU prefix of this kind. */
  readonly prefix: string;
  /** Width ÷ height of the images. */
  readonly aspect: number;
  draw(colour: Colour, view: View, random: Random): Drawing;
}

/** Defines a horizontal gradient that makes an element look round and lit from the left. */
export function defineRoundShading(id: string, hex: string): string {
  return defineGradient(id, [
    [0, darken(hex, 0.42)],
    [0.1, darken(hex, 0.12)],
    [0.3, lighten(hex, 0.3)],
    [0.48, hex],
    [0.82, darken(hex, 0.3)],
    [0.95, darken(hex, 0.48)],
    [1, darken(hex, 0.36)],
  ]);
}

/** Defines a gradient from left to right, or from top to bottom. */
export function defineGradient(
  id: string,
  stops: readonly (readonly [offset: number, colour: string])[],
  direction: 'across' | 'down' = 'across',
): string {
  const vector = direction === 'across' ? 'x1="0" y1="0" x2="1" y2="0"' : 'x1="0" y1="0" x2="0" y2="1"';
  const stopElements = stops
    .map(([offset, colour]) => `<stop offset="${offset}" stop-color="${colour}"/>`)
    .join('');
  return `<defs><linearGradient id="${id}" ${vector}>${stopElements}</linearGradient></defs>`;
}

/** A range of rows on the canvas. */
interface Rows {
  readonly from: number;
  readonly to: number;
}

/**
 * Defines a blur for elements within a range of rows. A filter region relative to an element's own box would clip flat
 * elements and omit straight lines. A region that covers the whole canvas always works but is slow.
 */
export function defineBlur(
  id: string,
  deviation: number,
  { from, to }: Rows = { from: 0, to: 1000 },
): string {
  const region = `filterUnits="userSpaceOnUse" x="0" y="${from}" width="1000" height="${to - from}"`;
  return `<defs><filter id="${id}" ${region}><feGaussianBlur stdDeviation="${deviation}"/></filter></defs>`;
}

/** A soft light or dark stroke along a path, for example a fold, a crease or a reflection. */
export type SoftStroke = readonly [path: string, colour: string, width: number, opacity: number];

/** Draws soft strokes with a single blur, because each blur takes as long to render as the rest of the image. */
export function drawSoftStrokes(blurId: string, strokes: readonly SoftStroke[]): string {
  const paths = strokes.map(
    ([path, colour, width, opacity]) =>
      `<path d="${path}" stroke="${colour}" stroke-width="${width}" opacity="${opacity}"/>`,
  );
  return `<g fill="none" stroke-linecap="round" filter="url(#${blurId})">${paths.join('')}</g>`;
}

/** Clips elements to an outline, for example so that shading does not extend beyond the product. */
export function clipTo(id: string, outline: string, elements: string): string {
  return `<defs><clipPath id="${id}"><path d="${outline}"/></clipPath></defs><g clip-path="url(#${id})">${elements}</g>`;
}

/** Mirrors elements horizontally. */
export function mirror(elements: string): string {
  return `<g transform="translate(1000 0) scale(-1 1)">${elements}</g>`;
}

/** Draws a dashed line that looks like machine stitching. */
export function drawStitching(path: string, colour: string): string {
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2.4" stroke-dasharray="9 6" opacity="0.75"/>`;
}
