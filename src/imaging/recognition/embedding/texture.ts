import { type Content, contentSide, type Mask } from './content.ts';
import { signedRoots, toUnitLength } from './vectors.ts';

const radii = [1, 2, 4];
const patternClasses = 10;
/** Samples only every second pixel of every second row. The histogram is nearly the same as with all pixels. */
const stride = 2;
/** Minimum difference in L* for a pixel to count as lighter. Anything less is noise. */
const minLightnessDifference = 0.5;

/**
 * Means of the square roots of the bins, over the 390 pictures of 60 products that `vitrine seed` draws. The means are
 * subtracted, because otherwise the vectors of all textures would be similar. Changing the means requires a new
 * embedding space.
 */
const meanRoots = [
  0.308, 0.135, 0.109, 0.318, 0.187, 0.07, 0.054, 0.109, 0.056, 0.185, 0.209, 0.125, 0.139, 0.351, 0.203,
  0.109, 0.078, 0.124, 0.077, 0.18, 0.164, 0.127, 0.142, 0.328, 0.201, 0.144, 0.1, 0.14, 0.098, 0.216,
];

/** For each pattern of 8 neighbours: the number of lighter neighbours if these are contiguous, otherwise 9. */
const classByPattern = Uint8Array.from({ length: 256 }, (_, pattern) => {
  const bit = (position: number) => (pattern >> (position & 7)) & 1;
  const positions = [0, 1, 2, 3, 4, 5, 6, 7];
  const changeCount = positions.filter((position) => bit(position) !== bit(position + 1)).length;
  return changeCount <= 2 ? positions.filter((position) => bit(position) === 1).length : patternClasses - 1;
});

/**
 * Describes the surface of the content independently of its colour, with uniform, rotation-invariant local binary
 * patterns of the lightness. Computes one normalised histogram for each of the distances 1, 2 and 4 pixels, and
 * subtracts `meanRoots` from the square roots of the bins. Returns 30 numbers, scaled to a unit vector. All numbers are
 * 0 if there is content only near the edge.
 * Source: Ojala, Pietikäinen, Mäenpää, "Multiresolution gray-scale and rotation invariant texture classification with
 * local binary patterns", 2002. Here, however, the neighbours are on a square instead of a circle.
 */
export function textureFeatures(content: Content): Float64Array {
  const lightness = extractLightness(content);
  const histograms = new Float64Array(radii.length * patternClasses);
  for (const [index, radius] of radii.entries()) {
    histograms.set(patternHistogram(lightness, content.mask, radius), index * patternClasses);
  }
  const roots = toUnitLength(signedRoots(histograms));
  return roots.some((root) => root > 0)
    ? toUnitLength(roots.map((root, index) => root - (meanRoots[index] ?? 0)))
    : roots;
}

function extractLightness({ lab, mask }: Content): Float32Array {
  const lightness = new Float32Array(mask.length);
  for (let pixel = 0; pixel < lightness.length; pixel++) lightness[pixel] = lab[3 * pixel] ?? 0;
  return lightness;
}

function patternHistogram(lightness: Float32Array, mask: Mask, radius: number): Float64Array {
  const histogram = new Float64Array(patternClasses);
  const offsets = neighbourOffsets(radius);
  let count = 0;
  for (let y = radius; y < contentSide - radius; y += stride) {
    for (let x = radius; x < contentSide - radius; x += stride) {
      const pixel = y * contentSide + x;
      if ((mask[pixel] ?? 0) < 0.5) continue;
      const patternClass = classByPattern[patternAt(lightness, pixel, offsets)] ?? 0;
      histogram[patternClass] = (histogram[patternClass] ?? 0) + 1;
      count++;
    }
  }
  return count > 0 ? histogram.map((patternCount) => patternCount / count) : histogram;
}

/** Returns the offsets of the eight neighbours in an array, clockwise. */
function neighbourOffsets(radius: number): Int32Array {
  const [right, down] = [radius, radius * contentSide];
  return Int32Array.of(right, right + down, down, down - right, -right, -right - down, -down, right - down);
}

function patternAt(lightness: Float32Array, pixel: number, offsets: Int32Array): number {
  const threshold = (lightness[pixel] ?? 0) + minLightnessDifference;
  let pattern = 0;
  for (let position = 0; position < 8; position++) {
    if ((lightness[pixel + (offsets[position] ?? 0)] ?? 0) >= threshold) pattern |= 1 << position;
  }
  return pattern;
}
