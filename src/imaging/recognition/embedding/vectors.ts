/** Scales a vector to a unit vector (a vector whose Euclidean norm is 1). A zero vector stays zero. */
export function toUnitLength(values: Float64Array): Float64Array {
  let squares = 0;
  for (const value of values) squares += value * value;
  const length = Math.sqrt(squares);
  return length > 0 ? values.map((value) => value / length) : values;
}

/**
 * Maps a vector to a unit vector. The dot product of two results is near `exp(-distance² / width²)`, where
 * `distance` is the distance between the two inputs and `width` is the width of the Gaussian kernel.
 */
export type RandomFeatures = (values: Float64Array) => Float64Array;

/**
 * Creates a map to random Fourier features of a Gaussian kernel. The dot product of unmapped vectors is high for many
 * pairs that are only moderately similar. After mapping, it is high only for vectors that are close to each other, and
 * near 0 for all others. The vectors are projected onto random directions, which are the same in every process because
 * the seed is fixed.
 * Source: Rahimi, Recht, "Random features for large-scale kernel machines", 2007. The directions are orthogonal, which
 * reduces the error: Yu et al., "Orthogonal random features", 2016.
 * @param dimensions number of features; must be even.
 * @param width width of the kernel: the distance beyond which vectors count as dissimilar.
 */
export function makeRandomFeatures(inputLength: number, dimensions: number, width: number): RandomFeatures {
  const rowCount = dimensions / 2;
  // The rows are computed on first use, so that a child that only probes starts quickly.
  let rows: readonly Float64Array[] | undefined;
  return (values) => {
    rows ??= orthogonalRows(rowCount, inputLength, Math.SQRT2 / width);
    const features = new Float64Array(dimensions);
    for (const [index, row] of rows.entries()) {
      const phase = dot(row, values);
      features[2 * index] = Math.cos(phase);
      features[2 * index + 1] = Math.sin(phase);
    }
    return toUnitLength(features);
  };
}

/**
 * Returns orthogonal rows (Gram–Schmidt), each with the length of a random Gaussian row times `scale`. If there are
 * more than `length` rows, only the rows within each group of `length` are orthogonal.
 */
function orthogonalRows(count: number, length: number, scale: number): readonly Float64Array[] {
  const gaussian = makeGaussian();
  const randomRows = Array.from({ length: count }, () => Float64Array.from({ length }, gaussian));
  const unitRows: Float64Array[] = [];
  for (const row of randomRows) {
    const residual = row.slice();
    for (const unitRow of unitRows.slice(unitRows.length - (unitRows.length % length))) {
      const projection = dot(unitRow, residual);
      for (let index = 0; index < length; index++)
        residual[index] = (residual[index] ?? 0) - projection * (unitRow[index] ?? 0);
    }
    unitRows.push(toUnitLength(residual));
  }
  return unitRows.map((unitRow, index) => {
    const row = randomRows[index] ?? unitRow;
    return unitRow.map((value) => value * Math.sqrt(dot(row, row)) * scale);
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += (a[index] ?? 0) * (b[index] ?? 0);
  return sum;
}

/**
 * Returns a generator of normally distributed numbers (Box–Muller), based on a linear congruential generator with a
 * fixed seed and Knuth's MMIX constants.
 */
function makeGaussian(): () => number {
  let state = 1n;
  const uniform = () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return (Number(state >> 11n) + 0.5) / 2 ** 53;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
