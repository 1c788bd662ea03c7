import type { Size } from '../../geometry.ts';

/** How strong the edges of a picture are, pixel by pixel, from 0 to 1. */
export interface EdgeMap extends Size {
  readonly values: Float32Array;
}

/** Strength of an edge (root of the squared gradients of all channels, 8-bit scale) that is mapped to 0.5. */
const halfStrength = 24;

/**
 * Computes the edges of a picture with three values per pixel, row by row. Edges are where they are whatever the exposure and
 * the colours, so they can be aligned even if a product has been recoloured. Strong edges are compressed, because a few of
 * them would otherwise outweigh all others.
 */
export function findEdges(colours: Uint8Array | Float32Array, { width, height }: Size): EdgeMap {
  const values = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const above = Math.max(0, y - 1) * width;
    const below = Math.min(height - 1, y + 1) * width;
    for (let x = 0; x < width; x++) {
      const left = (y * width + Math.max(0, x - 1)) * 3;
      const right = (y * width + Math.min(width - 1, x + 1)) * 3;
      let squares = 0;
      for (let channel = 0; channel < 3; channel++) {
        const across = (colours[right + channel] ?? 0) - (colours[left + channel] ?? 0);
        const down = (colours[(below + x) * 3 + channel] ?? 0) - (colours[(above + x) * 3 + channel] ?? 0);
        squares += across * across + down * down;
      }
      const strength = Math.sqrt(squares) / 2;
      values[y * width + x] = strength / (strength + halfStrength);
    }
  }
  return { width, height, values };
}

/** Mirrors a map left to right. */
export function mirrorEdgeMap({ width, height, values }: EdgeMap): EdgeMap {
  const mirrored = new Float32Array(values.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) mirrored[y * width + x] = values[y * width + width - 1 - x] ?? 0;
  }
  return { width, height, values: mirrored };
}
