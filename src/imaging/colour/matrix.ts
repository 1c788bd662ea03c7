/** A 3 × 3 matrix, row by row. */
export type Matrix = readonly [number, number, number, number, number, number, number, number, number];

/** Three numbers: X, Y and Z, or R, G and B. */
export type Triple = readonly [number, number, number];

/** XYZ values of the white point of ICC profiles (ICC.1:2022, 7.2.16). */
export const d50: Triple = [0.9642, 1, 0.8249];

const bradford: Matrix = [0.8951, 0.2664, -0.1614, -0.7502, 1.7135, 0.0367, 0.0389, -0.0685, 1.0296];

/** Returns the product a · b. */
export function multiplyMatrices(a: Matrix, b: Matrix): Matrix {
  const cell = (row: number, column: number) =>
    [0, 1, 2].reduce((sum, k) => sum + (a[row * 3 + k] ?? 0) * (b[k * 3 + column] ?? 0), 0);
  return Array.from({ length: 9 }, (_, n) => cell(Math.floor(n / 3), n % 3)) as unknown as Matrix;
}

/** Returns the product of a matrix and a column vector. */
export function applyMatrix(m: Matrix, [x, y, z]: Triple): Triple {
  return [m[0] * x + m[1] * y + m[2] * z, m[3] * x + m[4] * y + m[5] * z, m[6] * x + m[7] * y + m[8] * z];
}

/** Returns the inverse; `undefined` for a singular matrix. */
export function invertMatrix(m: Matrix): Matrix | undefined {
  const [a, b, c, d, e, f, g, h, i] = m;
  const cofactors = [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d,
  ];
  const determinant = a * (cofactors[0] ?? 0) + b * (cofactors[3] ?? 0) + c * (cofactors[6] ?? 0);
  if (!Number.isFinite(determinant) || Math.abs(determinant) < 1e-9) return undefined;
  return cofactors.map((value) => value / determinant) as unknown as Matrix;
}

/** Returns the matrix that adapts XYZ from one white point to another (linear Bradford; ICC.1:2022, annex E). */
export function computeAdaptationMatrix(from: Triple, to: Triple): Matrix | undefined {
  const inverse = invertMatrix(bradford);
  const [source, target] = [applyMatrix(bradford, from), applyMatrix(bradford, to)];
  if (inverse === undefined || source.some((value) => Math.abs(value) < 1e-9)) return undefined;
  const scale: Matrix = [
    target[0] / source[0],
    0,
    0,
    0,
    target[1] / source[1],
    0,
    0,
    0,
    target[2] / source[2],
  ];
  return multiplyMatrices(multiplyMatrices(inverse, scale), bradford);
}
