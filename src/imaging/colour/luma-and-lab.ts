/** Returns the unrounded luma (0–255) of 8-bit sRGB pixels, three bytes each. Weights: ITU-R BT.601. */
export function toLuma(rgb: Uint8Array): Float32Array {
  const luma = new Float32Array(rgb.length / 3);
  for (let pixel = 0, index = 0; pixel < luma.length; pixel++, index += 3) {
    luma[pixel] = 0.299 * (rgb[index] ?? 0) + 0.587 * (rgb[index + 1] ?? 0) + 0.114 * (rgb[index + 2] ?? 0);
  }
  return luma;
}

const whiteX = 0.95047;
const whiteZ = 1.08883;
const linearValues = Float64Array.from({ length: 256 }, (_, value) => {
  const fraction = value / 255;
  return fraction <= 0.04045 ? fraction / 12.92 : ((fraction + 0.055) / 1.055) ** 2.4;
});

/** Pixels in CIE L*a*b* (white point D65), three numbers each. */
export type LabPixels = Float32Array;

/**
 * Converts 8-bit sRGB pixels, three bytes each, to CIE L*a*b*.
 * Sources: IEC 61966-2-1 (transfer curve and matrix); CIE 15:2004, 8.2.1 (L*a*b*).
 */
export function toLab(rgb: Uint8Array): LabPixels {
  const lab = new Float32Array(rgb.length);
  for (let index = 0; index + 2 < rgb.length; index += 3) {
    const red = linearValues[rgb[index] ?? 0] ?? 0;
    const green = linearValues[rgb[index + 1] ?? 0] ?? 0;
    const blue = linearValues[rgb[index + 2] ?? 0] ?? 0;
    const x = interpolateCurve((0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / whiteX);
    const y = interpolateCurve(0.2126729 * red + 0.7151522 * green + 0.072175 * blue);
    const z = interpolateCurve((0.0193339 * red + 0.119192 * green + 0.9503041 * blue) / whiteZ);
    lab[index] = 116 * y - 16;
    lab[index + 1] = 500 * (x - y);
    lab[index + 2] = 200 * (y - z);
  }
  return lab;
}

/** Computes the L*a*b* curve: the cube root of `ratio`, or a linear function of it near 0. */
function computeCurve(ratio: number): number {
  return ratio > 216 / 24389 ? Math.cbrt(ratio) : ((24389 / 27) * ratio + 16) / 116;
}

const curveSteps = 4096;
/**
 * Precomputed values of the curve from 0 to slightly above 1, because cube roots are slow. Linear interpolation between
 * these values has an error of less than 1e-4.
 */
const curveTable = Float64Array.from({ length: curveSteps + 64 }, (_, step) =>
  computeCurve(step / curveSteps),
);

function interpolateCurve(ratio: number): number {
  const position = ratio * curveSteps;
  const step = Math.floor(position);
  const lowerValue = curveTable[step] ?? 0;
  return lowerValue + (position - step) * ((curveTable[step + 1] ?? 0) - lowerValue);
}
