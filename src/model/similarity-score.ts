/**
 * The layout of the built-in embedding and the score of two of its vectors. The vector consists of two parts. Each part
 * is a unit vector, multiplied by the square root of its weight, so that the cosine of two whole vectors is the weighted
 * mean of the cosines of their parts. A search finds candidates by that cosine and ranks them by the score.
 */

/** Number of colour features, which come first in the vector. */
export const colourDimensions = 256;
/** Number of shape features, which follow the colour features. */
export const shapeDimensions = 256;

/** Weight of each part in the cosine of two vectors. */
export const partWeights = { colour: 0.55, shape: 0.45 } as const;

/** How similar two pictures are in each respect, from 0 (unrelated) to 1 (identical). */
export interface SimilarityParts {
  readonly colour: number;
  readonly shape: number;
}

/** A vector whose parts have been scaled to unit length. A part without features is all zeros. */
export interface ScaledVector {
  readonly colour: Float32Array;
  readonly shape: Float32Array;
}

/**
 * Width of the Gaussian kernel of each part: the distance between two unit vectors beyond which they count as dissimilar.
 * Different products of one kind, worn by the same person, have cosines of up to 0.8. A kernel turns these into almost
 * nothing, which a plain sum of cosines could not.
 */
const kernelWidths = { colour: 0.45, shape: 0.55 } as const;

/** Probability that an exact match of one part alone is not a coincidence. Many products have the same colour. */
const confidences = { colour: 0.7, shape: 0.95 } as const;
const maxEvidence = combine({ colour: 1, shape: 1 });

/** Scales the parts of a vector to unit length, so that a vector may have any positive scale. */
export function scaleParts(vector: Float32Array): ScaledVector {
  return {
    colour: toUnitLength(vector.subarray(0, colourDimensions)),
    shape: toUnitLength(vector.subarray(colourDimensions, colourDimensions + shapeDimensions)),
  };
}

/** Compares the parts of two vectors. */
export function compareParts(a: ScaledVector, b: ScaledVector): SimilarityParts {
  return {
    colour: kernel(dot(a.colour, b.colour), kernelWidths.colour),
    shape: kernel(dot(a.shape, b.shape), kernelWidths.shape),
  };
}

/**
 * Returns the score of two pictures, from 0 to 1. Either part is evidence enough: the same colours from a different side,
 * or the same view in a different colour. The parts are combined like independent evidence (noisy-or), and the square
 * root spreads the result so that at 0.7 most images show the same product.
 */
export function toScore(parts: SimilarityParts): number {
  return Math.sqrt(combine(parts) / maxEvidence);
}

function combine({ colour, shape }: SimilarityParts): number {
  return 1 - (1 - confidences.colour * colour) * (1 - confidences.shape * shape);
}

/** Converts the cosine of two unit vectors to a Gaussian kernel of their distance. */
function kernel(cosine: number, width: number): number {
  return Math.exp((2 * Math.min(1, cosine) - 2) / width ** 2);
}

function toUnitLength(values: Float32Array): Float32Array {
  const length = Math.sqrt(dot(values, values));
  const result = new Float32Array(values.length);
  if (length === 0) return result;
  for (let index = 0; index < values.length; index++) result[index] = (values[index] ?? 0) / length;
  return result;
}

/** Adds four sums side by side, because each addition would otherwise wait for the one before. */
function dot(a: Float32Array, b: Float32Array): number {
  let [first, second, third, fourth] = [0, 0, 0, 0];
  for (let index = 0; index < a.length; index += 4) {
    first += (a[index] ?? 0) * (b[index] ?? 0);
    second += (a[index + 1] ?? 0) * (b[index + 1] ?? 0);
    third += (a[index + 2] ?? 0) * (b[index + 2] ?? 0);
    fourth += (a[index + 3] ?? 0) * (b[index + 3] ?? 0);
  }
  return first + second + third + fourth;
}
