import type { Line } from './lines.ts';

/** Length of a window, in steps between pixels. */
const windowLength = 128;
const bins = windowLength / 2;
/** Least energy of a window, in squared levels of luma. Less is noise. */
const minEnergy = 2000;
/** Least number of windows for a spectrum. */
const minWindows = 8;

const hann = Float64Array.from(
  { length: windowLength },
  (_, index) => 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / windowLength),
);

/** Sums the power spectra of the steps between pixels. */
export interface SpectrumMeter {
  readonly add: (line: Line) => void;
  /**
   * Returns how far the spectrum reaches beyond the point where it has fallen to a quarter: the frequency at which it has
   * finally fallen to 5 %, divided by the one for 25 %. `undefined` if there is not enough structure.
   */
  readonly tail: () => number | undefined;
}

/**
 * Creates a meter of spectra. The steps of a crisp edge have a flat spectrum. Blur makes it fall like a bell curve, to 5 %
 * at 1.5 times the frequency of 25 %. Enlarging a picture makes it fall as well, but leaves mirror images of the spectrum
 * at higher frequencies, which no interpolation suppresses completely, so that it reaches 5 % later.
 */
export function makeSpectrumMeter(): SpectrumMeter {
  const power = new Float64Array(bins);
  const real = new Float64Array(windowLength);
  const imaginary = new Float64Array(windowLength);
  let windows = 0;

  function addWindow(luma: Int16Array, start: number): void {
    for (let index = 0; index < windowLength; index++) {
      const step = (luma[start + index + 1] ?? 0) - (luma[start + index] ?? 0);
      real[index] = step * (hann[index] ?? 0);
      imaginary[index] = 0;
    }
    transform(real, imaginary);
    for (let bin = 0; bin < bins; bin++)
      power[bin] = (power[bin] ?? 0) + (real[bin] ?? 0) ** 2 + (imaginary[bin] ?? 0) ** 2;
    windows++;
  }

  return {
    add({ luma }) {
      const start = findBusiestWindow(luma);
      if (start !== undefined) addWindow(luma, start);
    },
    tail() {
      if (windows < minWindows) return undefined;
      const reference = power.subarray(1, 7).reduce((sum, value) => sum + value, 0) / 6;
      const quarter = findLast(power, reference * 0.25);
      return quarter === 0 ? undefined : findLast(power, reference * 0.05) / quarter;
    },
  };
}

/** Returns the highest frequency, in bins, at which the smoothed power exceeds `level`; 0 if there is none. */
function findLast(power: Float64Array, level: number): number {
  let above = 0;
  for (let bin = bins - 1; bin > 0; bin--) {
    const smoothed =
      ((power[bin - 1] ?? 0) + 2 * (power[bin] ?? 0) + (power[bin + 1] ?? power[bin] ?? 0)) / 4;
    // Between two bins, the logarithm of the power is interpolated.
    if (smoothed > level)
      return above === 0 ? bin : bin + Math.log(smoothed / level) / Math.log(smoothed / above);
    above = smoothed;
  }
  return 0;
}

/** Returns the start of the window with the most energy; `undefined` if there is hardly any. */
function findBusiestWindow(luma: Int16Array): number | undefined {
  const half = windowLength / 2;
  let best: number | undefined;
  let bestEnergy = minEnergy;
  let previousEnergy = 0;
  for (let start = 0; start + half < luma.length; start += half) {
    let energy = 0;
    for (let index = start; index < start + half; index++) {
      const step = (luma[index + 1] ?? 0) - (luma[index] ?? 0);
      energy += step * step;
    }
    if (start >= half && energy + previousEnergy > bestEnergy) {
      bestEnergy = energy + previousEnergy;
      best = start - half;
    }
    previousEnergy = energy;
  }
  return best;
}

const cosines = Float64Array.from({ length: bins }, (_, index) =>
  Math.cos((2 * Math.PI * index) / windowLength),
);
const sines = Float64Array.from(
  { length: bins },
  (_, index) => -Math.sin((2 * Math.PI * index) / windowLength),
);

/** Transforms in place. Source: Cooley and Tukey, radix 2, decimation in time. */
function transform(real: Float64Array, imaginary: Float64Array): void {
  reverseBits(real);
  for (let size = 2; size <= windowLength; size *= 2) {
    const half = size / 2;
    const stride = windowLength / size;
    for (let start = 0; start < windowLength; start += size) {
      for (let k = 0; k < half; k++) {
        const low = start + k;
        const high = low + half;
        const cosine = cosines[k * stride] ?? 0;
        const sine = sines[k * stride] ?? 0;
        const x = real[high] ?? 0;
        const y = imaginary[high] ?? 0;
        const turnedX = x * cosine - y * sine;
        const turnedY = x * sine + y * cosine;
        const lowX = real[low] ?? 0;
        const lowY = imaginary[low] ?? 0;
        real[high] = lowX - turnedX;
        imaginary[high] = lowY - turnedY;
        real[low] = lowX + turnedX;
        imaginary[low] = lowY + turnedY;
      }
    }
  }
}

/** Swaps each value with the one whose index has the reversed bits. The imaginary parts are all 0 at this point. */
function reverseBits(values: Float64Array): void {
  for (let index = 1, reversed = 0; index < windowLength; index++) {
    let bit = windowLength >> 1;
    for (; (reversed & bit) !== 0; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (index < reversed) {
      const value = values[index] ?? 0;
      values[index] = values[reversed] ?? 0;
      values[reversed] = value;
    }
  }
}
