/** Square roots that keep the sign: they damp what is large and make dot products of histograms Hellinger kernels. */
export function signedRoots(values: Float64Array): Float64Array {
  return values.map((value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
}

/** The same direction with length 1; zeros stay zeros. */
export function unitLength(values: Float64Array): Float64Array {
  let squares = 0;
  for (const value of values) squares += value * value;
  const length = Math.sqrt(squares);
  return length > 0 ? values.map((value) => value / length) : values;
}
