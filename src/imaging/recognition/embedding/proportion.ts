import type { Content } from './content.ts';

/** Angle in radians between two pictures of which one is twice as wide. */
const anglePerDoubling = 0.25;
const maxDoublings = 3;

/**
 * How wide the content is for its height, as a point on the unit circle: the dot product of two is the cosine of
 * their angle, so that unlike proportions cost a little and equal ones nothing.
 */
export function proportionBlock({ aspect }: Content): Float64Array {
  const doublings = Math.max(-maxDoublings, Math.min(maxDoublings, Math.log2(aspect)));
  const angle = doublings * anglePerDoubling;
  return Float64Array.of(Math.cos(angle), Math.sin(angle));
}
