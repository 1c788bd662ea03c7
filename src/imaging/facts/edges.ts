import type { Line } from './lines.ts';

/** Least contrast of an edge, in levels of luma. Less may be noise. */
const minContrast = 30;
/** Least number of edges from which sharpness is measured. */
const minEdges = 12;
/** Width, in pixels, of an edge as crisp as a good photograph shows it. */
const crispWidth = 1.5;
/** Edges are counted in steps of 1/16 pixel. Those wider than 32 pixels are shading, but they count as edges of 32. */
const stepsPerPixel = 16;
const maxWidth = 32;

/** Measures the width of edges. */
export interface EdgeMeter {
  readonly add: (line: Line) => void;
  /** Returns the width in pixels that a quarter of the edges do not exceed; `undefined` if there are too few edges. */
  readonly width: () => number | undefined;
}

/**
 * Creates a meter of edge widths. An edge is a run of rising or of falling luma. Its width is its contrast divided by its
 * steepest step, so it depends neither on the contrast nor on noise in flat parts. The crispest quarter counts, because
 * shading and what is out of focus behind the product have wide edges in every good photograph.
 */
export function makeEdgeMeter(): EdgeMeter {
  const counts = new Uint32Array(maxWidth * stepsPerPixel + 1);
  let edges = 0;

  function addEdge(contrast: number, steepestStep: number): void {
    edges++;
    const bin = Math.min(counts.length - 1, Math.round((contrast / steepestStep) * stepsPerPixel));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }

  return {
    add({ luma }) {
      let contrast = 0;
      let steepest = 0;
      let previous = luma[0] ?? 0;
      for (let index = 1; index < luma.length; index++) {
        const value = luma[index] ?? 0;
        const step = value - previous;
        previous = value;
        if (step * contrast > 0) {
          contrast += step;
          if (step > steepest) steepest = step;
          else if (-step > steepest) steepest = -step;
          continue;
        }
        if (contrast >= minContrast || -contrast >= minContrast) addEdge(Math.abs(contrast), steepest);
        contrast = step;
        steepest = Math.abs(step);
      }
      if (Math.abs(contrast) >= minContrast) addEdge(Math.abs(contrast), steepest);
    },
    width() {
      if (edges < minEdges) return undefined;
      let remaining = edges / 4;
      return counts.findIndex((count) => (remaining -= count) <= 0) / stepsPerPixel;
    },
  };
}

/** Returns the sharpness of a picture, 0 to 100, from the width of its edges. */
export function toSharpness(edgeWidth: number): number {
  return Math.min(100, (100 * crispWidth) / edgeWidth);
}
