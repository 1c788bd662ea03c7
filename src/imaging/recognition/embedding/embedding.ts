import { type Embedding, embeddingSpace } from '../../../model/fingerprint.ts';
import { partWeights, shapeDimensions } from '../../../model/similarity-score.ts';
import type { Pixels } from '../../decoding/pixels.ts';
import { colourFeatures } from './colour.ts';
import { type Content, extractContent } from './content.ts';
import { shapeFeatures } from './shape.ts';
import { makeRandomFeatures } from './vectors.ts';

/** Computes the embedding of a picture: the built-in one, or that of a model. */
export type EmbedPixels = (pixels: Pixels) => Embedding | Promise<Embedding>;

/** Numbers are rounded to six decimal places, because further digits differ between machines. */
const precision = 1e6;

/**
 * Computes the built-in embedding of a picture, from its pixels or from a smaller version of the whole picture
 * (`descriptionSize`). It describes the colours and the shape of the content without the background, see
 * docs/similarity.md. In a picture with a single colour, everything counts as content. An embedding captures appearance,
 * not meaning.
 */
export function computeEmbedding(pixels: Pixels): Embedding {
  const content = extractContent(pixels);
  const shape = content.isPlain ? plainColourFeatures(content) : shapeFeatures(content);
  const vector: number[] = [];
  appendPart(vector, colourFeatures(content), partWeights.colour);
  appendPart(vector, shape, partWeights.shape);
  return { space: embeddingSpace, vector };
}

function appendPart(vector: number[], features: Float64Array, weight: number): void {
  const factor = Math.sqrt(weight) * precision;
  for (const value of features) vector.push(Math.round(value * factor) / precision);
}

/** Distance (ΔE, CIE 1976) beyond which two colours count as dissimilar. */
const maxColourDistance = 12;
const mapMeanColour = makeRandomFeatures(3, shapeDimensions, maxColourDistance);

/**
 * Describes the mean colour of a picture that has no shape. These features replace the shape features. They distinguish
 * similar shades, for which the colour features are too coarse. Their dot product with shape features is near 0, so a
 * swatch is more similar to other swatches of its colour than to products of that colour. Returns 256 numbers, scaled
 * to a unit vector.
 */
function plainColourFeatures({ lab }: Content): Float64Array {
  const mean = new Float64Array(3);
  for (let index = 0; index < lab.length; index++)
    mean[index % 3] = (mean[index % 3] ?? 0) + (lab[index] ?? 0);
  return mapMeanColour(mean.map((sum) => sum / (lab.length / 3)));
}
