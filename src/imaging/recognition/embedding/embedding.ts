import { type Embedding, embeddingSpace } from '../../../model/fingerprint.ts';
import type { Pixels } from '../../decoding/pixels.ts';
import { colourBlock } from './colour.ts';
import { type Content, contentOf } from './content.ts';
import { shapeBlock, shapeDimensions } from './shape.ts';
import { textureBlock } from './texture.ts';
import { makeRandomFeatures, unitLength } from './vectors.ts';

/**
 * Weight of each block in a score. Colour and shape are balanced so that either one finds the other pictures of a
 * product: the same colour from another side, or the same view in another colour. Proportion is nearly the same for all
 * pictures: it raises the scores, so that most pictures of one product are above 0.6 and 99 % of the others below 0.7.
 */
const shares = { colour: 0.55, shape: 0.45, texture: 0.1, proportion: 0.66 };

/** Six decimal places; further digits differ between machines. */
const precision = 1e6;

/**
 * Computes the built-in embedding of a picture, from its pixels or from a smaller version of the whole picture
 * (`describedSize`). It describes colour, shape, texture and proportion of the content without the background; a
 * picture of one colour counts as content. It captures looks, not meaning.
 */
export function embeddingOf(pixels: Pixels): Embedding {
  const content = contentOf(pixels);
  const vector = [
    ...scaled(colourBlock(content), shares.colour),
    ...scaled(content.isPlain ? plainBlock(content) : shapeBlock(content), shares.shape),
    ...scaled(textureBlock(content), shares.texture),
    ...scaled(proportionBlock(content), shares.proportion),
  ];
  const unit = unitLength(Float64Array.from(vector));
  return {
    space: embeddingSpace,
    vector: Array.from(unit, (value) => Math.round(value * precision) / precision),
  };
}

function scaled(block: Float64Array, share: number): Float64Array {
  return block.map((value) => value * Math.sqrt(share));
}

/** Distance (ΔE, CIE 1976) beyond which two colours count as dissimilar. */
const maxColourDistance = 12;
const plainFeatures = makeRandomFeatures(3, shapeDimensions, maxColourDistance);

/**
 * Describes the mean colour of a picture without shape. Replaces the shape block, and distinguishes the shades of one
 * product, for which the colour block is too coarse. Its dot product with a shape is near 0, so a swatch is more
 * similar to plain pictures of its colour than to products of that colour. 280 numbers, length 1.
 */
function plainBlock({ lab }: Content): Float64Array {
  const mean = new Float64Array(3);
  for (let at = 0; at < lab.length; at++) mean[at % 3] = (mean[at % 3] ?? 0) + (lab[at] ?? 0);
  return plainFeatures(mean.map((sum) => sum / (lab.length / 3)));
}

/** Angle in radians between two contents of which one is twice as wide relative to its height. */
const anglePerDoubling = 0.25;
const maxDoublings = 3;

/**
 * Describes the proportions of the content as a point on the unit circle: the dot product of two is the cosine of the
 * angle between them, so different proportions reduce the score slightly.
 */
function proportionBlock({ aspect }: Content): Float64Array {
  const doublings = Math.max(-maxDoublings, Math.min(maxDoublings, Math.log2(aspect)));
  const angle = doublings * anglePerDoubling;
  return Float64Array.of(Math.cos(angle), Math.sin(angle));
}
