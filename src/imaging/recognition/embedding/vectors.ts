import { unitLength } from './blocks.ts';

/** Maps vectors to vectors of length 1 whose dot product is near `exp(-distance² / width²)`. */
export type RandomFeatures = (values: Float64Array) => Float64Array;

/**
 * Random Fourier features of a Gaussian kernel. A plain dot product lets many half-alike vectors add up to a high
 * score; this one is high for close vectors only and near 0 for all others.
 * Algorithm: Rahimi, Recht, "Random features for large-scale kernel machines", 2007; with orthogonal directions, which
 * err less: Yu et al., "Orthogonal random features", 2016. The directions are the same in every process.
 * @param dimensions of the result: an even number, at most twice the input's.
 */
export function makeRandomFeatures(inputs: number, dimensions: number, width: number): RandomFeatures {
  const count = dimensions / 2;
  // Made when first needed: a child that only probes shall start fast.
  let rows: readonly Float64Array[] | undefined;
  return (values) => {
    rows ??= orthogonalRows(count, inputs, Math.SQRT2 / width);
    const features = new Float64Array(dimensions);
    for (const [index, row] of rows.entries()) {
      const phase = dot(row, values);
      features[2 * index] = Math.cos(phase);
      features[2 * index + 1] = Math.sin(phase);
    }
    return unitLength(features);
  };
}

/**
 * Orthogonal rows with the lengths of random ones (Gram–Schmidt), times `scale`; if there are more rows than entries
 * per row, they are made in sets, each orthogonal.
 */
function orthogonalRows(count: number, length: number, scale: number): readonly Float64Array[] {
  const gaussian = makeGaussian();
  const random = Array.from({ length: count }, () => Float64Array.from({ length }, gaussian));
  const units: Float64Array[] = [];
  for (const row of random) {
    const rest = row.slice();
    for (const unit of units.slice(units.length - (units.length % length))) {
      const share = dot(unit, rest);
      for (let at = 0; at < length; at++) rest[at] = (rest[at] ?? 0) - share * (unit[at] ?? 0);
    }
    units.push(unitLength(rest));
  }
  return units.map((unit, index) => {
    const row = random[index] ?? unit;
    return unit.map((value) => value * Math.sqrt(dot(row, row)) * scale);
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}

/** Normally distributed numbers (Box–Muller) from a fixed linear congruential generator (Knuth's MMIX constants). */
function makeGaussian(): () => number {
  let state = 1n;
  const uniform = () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return (Number(state >> 11n) + 0.5) / 2 ** 53;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
