import { type Embedding, embeddingSpace } from '../../../model/fingerprint.ts';
import type { Pixels } from '../../decoding/pixels.ts';
import { colourFeatures } from './colour.ts';
import { type Content, extractContent } from './content.ts';
import { shapeFeatures, shapeDimensions } from './shape.ts';
import { textureFeatures } from './texture.ts';
import { makeRandomFeatures, toUnitLength } from './vectors.ts';

/**
 * Weight of each group of features in a score. Colour and shape are balanced so that either of them finds the other
 * pictures of a product: the same colour from a different side, or the same view in a different colour. The
 * proportion features are nearly the same for all pictures and raise all scores. As a result, most pictures of the same
 * product score above 0.6, and 99% of the pictures of other products score below 0.7.
 */
const weights = { colour: 0.55, shape: 0.45, texture: 0.1, proportion: 0.66 };

/** Numbers are rounded to six decimal places, because further digits differ between machines. */
const precision = 1e6;

/**
 * Computes the built-in embedding of a picture, from its pixels or from a smaller version of the whole picture
 * (`descriptionSize`). It describes the colour, shape, texture and proportions of the content without the background.
 * In a picture with a single colour, everything counts as content. An embedding captures appearance, not meaning.
 */
export function computeEmbedding(pixels: Pixels): Embedding {
  const content = extractContent(pixels);
  const vector = [
    ...applyWeight(colourFeatures(content), weights.colour),
    ...applyWeight(content.isPlain ? plainColourFeatures(content) : shapeFeatures(content), weights.shape),
    ...applyWeight(textureFeatures(content), weights.texture),
    ...applyWeight(proportionFeatures(content), weights.proportion),
  ];
  const unitVector = toUnitLength(Float64Array.from(vector));
  return {
    space: embeddingSpace,
    vector: Array.from(unitVector, (value) => Math.round(value * precision) / precision),
  };
}

function applyWeight(features: Float64Array, weight: number): Float64Array {
  return features.map((value) => value * Math.sqrt(weight));
}

/** Distance (ΔE, CIE 1976) beyond which two colours count as dissimilar. */
const maxColourDistance = 12;
const mapMeanColour = makeRandomFeatures(3, shapeDimensions, maxColourDistance);

/**
 * Describes the mean colour of a picture that has no shape. These features replace the shape features. They distinguish
 * similar shades, for which the colour features are too coarse. Their dot product with shape features is near 0, so a
 * swatch is more similar to other swatches of its colour than to products of that colour. Returns 280 numbers, scaled
 * to a unit vector.
 */
function plainColourFeatures({ lab }: Content): Float64Array {
  const mean = new Float64Array(3);
  for (let index = 0; index < lab.length; index++)
    mean[index % 3] = (mean[index % 3] ?? 0) + (lab[index] ?? 0);
  return mapMeanColour(mean.map((sum) => sum / (lab.length / 3)));
}

/** Angle in radians between two aspect ratios that differ by a factor of 2. */
const anglePerDoubling = 0.25;
const maxDoublings = 3;

/**
 * Describes the proportions of the content as a point on the unit circle. The dot product of two such points is the
 * cosine of the angle between them, so different proportions reduce the score slightly.
 */
function proportionFeatures({ aspect }: Content): Float64Array {
  const doublings = Math.max(-maxDoublings, Math.min(maxDoublings, Math.log2(aspect)));
  const angle = doublings * anglePerDoubling;
  return Float64Array.of(Math.cos(angle), Math.sin(angle));
}
