import type { Pixels } from '../../decoding/pixels.ts';
import { fitInside, type Rectangle, type Size } from '../../geometry.ts';
import { findFrames } from '../frames.ts';
import { type Samples, sampleArea } from '../sample-area.ts';
import { type EdgeMap, findEdges, mirrorEdgeMap } from './edge-map.ts';

/** A picture as it is compared with others. All areas are fractions of its width and height. */
export interface View {
  readonly pixels: Pixels;
  /** Coarsest first. */
  readonly edgeMaps: readonly EdgeMap[];
  readonly full: Rectangle;
  readonly content: Rectangle;
  readonly core: Rectangle;
  readonly croppedCores: readonly Rectangle[];
}

/** Sides of the edge maps, finest first. */
const mapSides = [160, 80, 40];
/** The frames are searched for in a copy that fits inside this box, from which the edge maps are made, too. */
const copyBox = { width: 200, height: 200 };

/** Prepares a picture for comparisons. */
export function makeView(pixels: Pixels): View {
  const copySize = fitInside(pixels, copyBox);
  let samples: Samples = { ...copySize, channels: 3, data: scaleSamples(toSamples(pixels), copySize) };
  const copy = { ...copySize, data: Buffer.from(samples.data.map(Math.round)) };
  const { full, content, core, croppedCores } = findFrames(copy);
  const edgeMaps: EdgeMap[] = [];
  for (const side of mapSides) {
    const size = fitInside(pixels, { width: side, height: side });
    samples = { ...size, channels: 3, data: scaleSamples(samples, size) };
    edgeMaps.unshift(findEdges(samples.data, size));
  }
  return {
    pixels,
    edgeMaps,
    full: toFractions(full, copySize),
    content: toFractions(content, copySize),
    core: toFractions(core, copySize),
    croppedCores: croppedCores.map((area) => toFractions(area, copySize)),
  };
}

function scaleSamples(samples: Samples, size: Size): Float32Array {
  return sampleArea(samples, { left: 0, top: 0, width: samples.width, height: samples.height }, size);
}

/** Returns the view that the mirror image of the picture would have. Its pixels are not mirrored. */
export function mirrorView(view: View): View {
  return {
    ...view,
    edgeMaps: view.edgeMaps.map(mirrorEdgeMap),
    content: mirrorArea(view.content),
    core: mirrorArea(view.core),
    croppedCores: view.croppedCores.map(mirrorArea),
  };
}

/** Scales a part of a view to `size`: three values per pixel, row by row. */
export function sampleView({ pixels }: View, area: Rectangle, size: Size, isMirrored: boolean): Float32Array {
  const { left, top, width, height } = isMirrored ? mirrorArea(area) : area;
  const samples = sampleArea(
    toSamples(pixels),
    {
      left: left * pixels.width,
      top: top * pixels.height,
      width: width * pixels.width,
      height: height * pixels.height,
    },
    size,
  );
  return isMirrored ? mirrorSamples(samples, size) : samples;
}

function toSamples({ data, width, height }: Pixels): Samples {
  return { data, width, height, channels: 3 };
}

function toFractions({ left, top, width, height }: Rectangle, size: Size): Rectangle {
  return {
    left: left / size.width,
    top: top / size.height,
    width: width / size.width,
    height: height / size.height,
  };
}

function mirrorArea(area: Rectangle): Rectangle {
  return { ...area, left: 1 - area.left - area.width };
}

function mirrorSamples(samples: Float32Array, { width, height }: Size): Float32Array {
  const mirrored = new Float32Array(samples.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const source = (y * width + x) * 3;
      const target = (y * width + width - 1 - x) * 3;
      for (let channel = 0; channel < 3; channel++)
        mirrored[target + channel] = samples[source + channel] ?? 0;
    }
  }
  return mirrored;
}
