import type { Raster } from '../decoding/pixels.ts';
import type { Samples } from '../decoding/samples.ts';
import type { TiffLayout } from '../containers/tiff-layout.ts';
import { srgbPrimaries } from './code-points.ts';
import { computeRgbToXyzMatrix } from './icc-profile.ts';
import { applyMatrix, d50, invertMatrix } from './matrix.ts';

/** The values of L*, a* or b* that the smallest and the largest sample value represent. */
type Range = readonly [min: number, max: number];

/**
 * Returns the ranges of L*, a* and b* in a TIFF. Sources: TIFF 6.0, section 23; Adobe Photoshop TIFF
 * Technical Notes for 16-bit samples and ICC L*a*b*; TIFF-FX (RFC 3949, 7.2.1) for ITU L*a*b*.
 */
function findEncodingRanges({ colours, bits }: TiffLayout): readonly [Range, Range, Range] {
  if (colours === 'itulab') {
    return [
      [0, 100],
      [-85, 85],
      [-75, 125],
    ];
  }
  const maxChroma = bits === 8 ? 127 : 65_535 / 256 - 128;
  const chroma: Range = [-128, maxChroma];
  const lightness: Range = [0, colours === 'icclab' && bits === 16 ? (100 * 65_535) / 65_280 : 100];
  return [lightness, chroma, chroma];
}

/**
 * Converts a* and b* from signed to unsigned, in place. Without this conversion, resizing would treat -1 as larger than
 * 1.
 */
export function offsetChroma({ data, channels }: Samples): void {
  const sign = data instanceof Uint16Array ? 0x8000 : 0x80;
  for (let index = 0; index < data.length; index += channels) {
    data[index + 1] = (data[index + 1] ?? 0) ^ sign;
    data[index + 2] = (data[index + 2] ?? 0) ^ sign;
  }
}

/**
 * Converts L*a*b* under D50 (unsigned samples, with or without alpha) to 8-bit sRGB. Flattens it onto white unless
 * `keepsAlpha` is set.
 */
export function labToPixels(samples: Samples, layout: TiffLayout, keepsAlpha: boolean): Raster {
  const { width, height, channels, data } = samples;
  const maxValue = data instanceof Uint16Array ? 65_535 : 255;
  const toXyz = computeRgbToXyzMatrix(srgbPrimaries);
  const toRgb = toXyz && invertMatrix(toXyz);
  if (toRgb === undefined) throw new Error('The sRGB primaries must be invertible.');
  const [decodeLightness, decodeA, decodeB] = findEncodingRanges(layout).map(
    ([min, max]) =>
      (value: number) => {
        return min + ((max - min) * value) / maxValue;
      },
  ) as [Decode, Decode, Decode];
  const resultChannels = channels > 3 && keepsAlpha ? 4 : 3;
  const result = Buffer.allocUnsafe(width * height * resultChannels);
  for (let index = 0, target = 0; index < data.length; index += channels, target += resultChannels) {
    const y = (decodeLightness(data[index] ?? 0) + 16) / 116;
    const x = y + decodeA(data[index + 1] ?? 0) / 500;
    const z = y - decodeB(data[index + 2] ?? 0) / 200;
    const rgb = applyMatrix(toRgb, [
      d50[0] * applyInverseCurve(x),
      applyInverseCurve(y),
      d50[2] * applyInverseCurve(z),
    ]);
    const alpha = channels > 3 ? (data[index + 3] ?? 0) / maxValue : 1;
    const coverage = keepsAlpha ? 1 : alpha;
    for (let n = 0; n < 3; n++) {
      result[target + n] = Math.round(255 * (1 - coverage + coverage * encodeSrgb(rgb[n] ?? 0)));
    }
    if (resultChannels === 4) result[target + 3] = Math.round(255 * alpha);
  }
  return { width, height, channels: resultChannels, data: result };
}

type Decode = (value: number) => number;

/** Applies the inverse of the L*a*b* curve (CIE 15:2004, 8.2.1). */
function applyInverseCurve(value: number): number {
  return value > 6 / 29 ? value ** 3 : (value - 16 / 116) * (3 * (6 / 29) ** 2);
}

/** Encodes linear light with the curve of IEC 61966-2-1, clipped to 0–1. */
function encodeSrgb(linear: number): number {
  if (linear <= 0) return 0;
  if (linear >= 1) return 1;
  return linear <= 0.0031308 ? linear * 12.92 : 1.055 * linear ** (1 / 2.4) - 0.055;
}
