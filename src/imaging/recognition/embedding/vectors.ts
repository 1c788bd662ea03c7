/**
 * Returns the square roots with the original signs. They damp large values and make dot products of histograms
 * Hellinger kernels.
 */
export function signedRoots(values: Float64Array): Float64Array {
  return values.map((value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
}

/** Scales a vector to length 1. A zero vector stays zero. */
export function unitLength(values: Float64Array): Float64Array {
  let squares = 0;
  for (const value of values) squares += value * value;
  const length = Math.sqrt(squares);
  return length > 0 ? values.map((value) => value / length) : values;
}

/** Maps vectors to vectors of length 1 whose dot product is near `exp(-distance² / width²)`. */
export type RandomFeatures = (values: Float64Array) => Float64Array;

/**
 * Returns the random Fourier features of a Gaussian kernel. A plain dot product gives a high score to many pairs that
 * are only half similar; this one is high for close vectors only, and near 0 for all others. The directions are the
 * same in every process.
 * Source: Rahimi, Recht, "Random features for large-scale kernel machines", 2007; with orthogonal directions, which
 * have a smaller error: Yu et al., "Orthogonal random features", 2016.
 * @param dimensions of the result: an even number.
 */
export function makeRandomFeatures(inputs: number, dimensions: number, width: number): RandomFeatures {
  const count = dimensions / 2;
  // Computed on first use, so that a child that only probes starts quickly.
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
 * Returns orthogonal rows (Gram–Schmidt) with the lengths of random Gaussian ones, times `scale`. If there are more
 * rows than entries per row, the rows are orthogonal within sets of that size.
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

/**
 * Generates normally distributed numbers (Box–Muller) from a fixed linear congruential generator (Knuth's MMIX
 * constants).
 */
function makeGaussian(): () => number {
  let state = 1n;
  const uniform = () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return (Number(state >> 11n) + 0.5) / 2 ** 53;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
