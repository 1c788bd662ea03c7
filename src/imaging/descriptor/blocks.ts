/** Square roots that keep the sign: they damp what is large and make dot products of histograms Hellinger kernels. */
export function signedRoots(values: Float64Array): Float64Array {
  return values.map((value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
}

/** The same direction with length 1; zeros stay zeros. */
export function unitLength(values: Float64Array): Float64Array {
  const length = Math.hypot(...values);
  return length > 0 ? values.map((value) => value / length) : values;
}
