import type { Chromaticities } from '../containers/png.ts';

/**
 * A function that decodes a channel to linear light: `(a·x + b)^g` for x ≥ `d`, otherwise `c·x` (ICC.1:2022, 10.18,
 * function type 3).
 */
export interface TransferCurve {
  readonly g: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

const d65 = [0.3127, 0.329] as const;
const illuminantC = [0.31, 0.316] as const;

/** Primaries of sRGB and BT.709. */
export const srgbPrimaries: Chromaticities = makeChromaticities(d65, [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]);

const smpte170m = makeChromaticities(d65, [0.63, 0.34], [0.31, 0.595], [0.155, 0.07]);

/** Colour primaries of ITU-T H.273, table 2, by value. */
const primariesByCode: ReadonlyMap<number, Chromaticities> = new Map([
  [1, srgbPrimaries],
  [4, makeChromaticities(illuminantC, [0.67, 0.33], [0.21, 0.71], [0.14, 0.08])],
  [5, makeChromaticities(d65, [0.64, 0.33], [0.29, 0.6], [0.15, 0.06])],
  [6, smpte170m],
  [7, smpte170m],
  [8, makeChromaticities(illuminantC, [0.681, 0.319], [0.243, 0.692], [0.145, 0.049])],
  [9, makeChromaticities(d65, [0.708, 0.292], [0.17, 0.797], [0.131, 0.046])],
  [11, makeChromaticities([0.314, 0.351], [0.68, 0.32], [0.265, 0.69], [0.15, 0.06])],
  [12, makeChromaticities(d65, [0.68, 0.32], [0.265, 0.69], [0.15, 0.06])],
  [22, makeChromaticities(d65, [0.63, 0.34], [0.295, 0.605], [0.155, 0.077])],
]);

/** The sRGB transfer curve (IEC 61966-2-1). */
export const srgbCurve: TransferCurve = { g: 2.4, a: 1 / 1.055, b: 0.055 / 1.055, c: 1 / 12.92, d: 0.04045 };

const bt2020Curve: TransferCurve = {
  g: 1 / 0.45,
  a: 1 / 1.0993,
  b: 0.0993 / 1.0993,
  c: 1 / 4.5,
  d: 4.5 * 0.0181,
};

const smpte240mCurve: TransferCurve = {
  g: 1 / 0.45,
  a: 1 / 1.1115,
  b: 0.1115 / 1.1115,
  c: 1 / 4,
  d: 4 * 0.0228,
};

/**
 * Transfer characteristics of ITU-T H.273, table 3, by value. BT.709 and its equivalents (1, 6, 11, 12) are meant for
 * video cameras. Still pictures that declare one of them are treated as sRGB, as in browsers.
 */
const curvesByCode: ReadonlyMap<number, TransferCurve> = new Map([
  [1, srgbCurve],
  [4, makeGammaCurve(2.2)],
  [5, makeGammaCurve(2.8)],
  [6, srgbCurve],
  [7, smpte240mCurve],
  [8, makeGammaCurve(1)],
  [11, srgbCurve],
  [12, srgbCurve],
  [13, srgbCurve],
  [14, bt2020Curve],
  [15, bt2020Curve],
]);

/** Descriptions of the transfer characteristics that cannot be converted to sRGB, by value. */
const unsupportedCurves: Readonly<Record<number, string>> = {
  9: 'a logarithmic transfer curve',
  10: 'a logarithmic transfer curve',
  16: 'high dynamic range (PQ, SMPTE ST 2084)',
  17: 'the digital cinema transfer curve (SMPTE ST 428-1)',
  18: 'high dynamic range (HLG, ARIB STD-B67)',
};

/** The primaries and curve that two code points stand for, or a description of the unsupported property. */
export type CodePointMeaning =
  | { readonly primaries: Chromaticities; readonly curve: TransferCurve }
  | { readonly unsupported: string };

/** Interprets code points. Unspecified and reserved values count as sRGB. */
export function interpretCodePoints(primariesCode: number, transferCode: number): CodePointMeaning {
  const unsupported = unsupportedCurves[transferCode];
  if (unsupported !== undefined) return { unsupported };
  if (primariesCode === 10) return { unsupported: 'the digital cinema XYZ primaries (SMPTE ST 428-1)' };
  return {
    primaries: primariesByCode.get(primariesCode) ?? srgbPrimaries,
    curve: curvesByCode.get(transferCode) ?? srgbCurve,
  };
}

/** Returns a pure power curve. */
export function makeGammaCurve(exponent: number): TransferCurve {
  return { g: exponent, a: 1, b: 0, c: 0, d: 0 };
}

/** Returns whether chromaticities are those of sRGB, apart from rounding. */
export function areSrgbPrimaries(chromaticities: Chromaticities): boolean {
  return (['white', 'red', 'green', 'blue'] as const).every((name) =>
    chromaticities[name].every((value, n) => Math.abs(value - (srgbPrimaries[name][n] ?? 0)) < 0.002),
  );
}

function makeChromaticities(
  white: readonly [number, number],
  red: readonly [number, number],
  green: readonly [number, number],
  blue: readonly [number, number],
): Chromaticities {
  return { white, red, green, blue };
}
