import type { Content } from './content.ts';
import { makeRandomFeatures } from './vectors.ts';
import { shapeDimensions } from './shape.ts';

/** Distance (ΔE, CIE 1976) at which two colours count as dissimilar. */
const reachOfLikeness = 12;
const features = makeRandomFeatures(3, shapeDimensions, reachOfLikeness);

/**
 * The mean colour of a picture without shape, stored in place of the shape block, with enough precision to distinguish
 * the shades of one product, for which the colour block is too coarse. Its dot product with a shape is near 0, so that
 * a swatch resembles plain pictures of its colour more than products of it. 280 numbers of length 1.
 */
export function plainBlock({ lab }: Content): Float64Array {
  const mean = new Float64Array(3);
  for (let at = 0; at < lab.length; at++) mean[at % 3] = (mean[at % 3] ?? 0) + (lab[at] ?? 0);
  return features(mean.map((sum) => sum / (lab.length / 3)));
}
