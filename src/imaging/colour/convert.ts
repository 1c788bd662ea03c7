import { sharp } from '../decoding/native-library.ts';
import type { Raster } from '../decoding/pixels.ts';
import { readSamples, type Samples, encodePlainTiff } from '../decoding/samples.ts';

/** Colours for testing a profile: the corners of the RGB cube, greys and muted colours. */
const testColours = Uint8Array.from(
  [0, 51, 128, 204, 255].flatMap((red) =>
    [0, 77, 128, 230, 255].flatMap((green) => [0, 64, 128, 179, 255].flatMap((blue) => [red, green, blue])),
  ),
);

/**
 * Returns whether an RGB profile changes any colour. A profile that changes no colour is sRGB or invalid. The image
 * library ignores an invalid profile only for 8-bit samples. For 16-bit samples, it would use Display P3 instead.
 */
export async function changesColours(profile: Uint8Array): Promise<boolean> {
  const size = { width: testColours.length / 3, height: 1 };
  const file = encodePlainTiff({ ...size, channels: 3, data: testColours }, 'rgb', profile);
  const { data } = await readSamples(sharp(file), 'srgb', 8);
  return data.length !== testColours.length || data.some((value, index) => value !== testColours[index]);
}

/**
 * Converts grey or RGB samples with `profile` to 8-bit sRGB. Flattens them onto white unless `keepsAlpha` is set. For 16-bit
 * RGB samples, the caller must have checked the profile with `changesColours`.
 */
export async function convertSamples(
  samples: Samples,
  profile: Uint8Array,
  keepsAlpha: boolean,
): Promise<Raster> {
  const is16Bit = samples.data instanceof Uint16Array;
  const isGrey = samples.channels <= 2;
  const file = encodePlainTiff(samples, isGrey ? 'grey' : 'rgb', profile);
  // The image library converts colours correctly only on output. On input, it would convert 16-bit RGB to Display P3
  // and clip the result, and it would leave 16-bit grey unchanged.
  const image = sharp(file, { ignoreIcc: true, limitInputPixels: false }).withIccProfile('srgb');
  const space = is16Bit ? (isGrey ? 'grey16' : 'rgb16') : 'srgb';
  return toSrgbRaster(await readSamples(image, space, is16Bit ? 16 : 8), keepsAlpha);
}

/**
 * Reduces samples to 8 bits. They must already be sRGB, or grey with the sRGB transfer curve. Flattens them onto white unless
 * `keepsAlpha` is set.
 */
export function toSrgbRaster(samples: Samples, keepsAlpha: boolean): Raster {
  const { width, height, channels, data } = samples;
  const maxValue = data instanceof Uint16Array ? 65_535 : 255;
  const isGrey = channels <= 2;
  const hasAlpha = channels === 2 || channels === 4;
  const resultChannels = hasAlpha && keepsAlpha ? 4 : 3;
  const result = Buffer.allocUnsafe(width * height * resultChannels);
  let target = 0;
  for (let index = 0; index < data.length; index += channels) {
    const alpha = hasAlpha ? (data[index + channels - 1] ?? 0) / maxValue : 1;
    const coverage = keepsAlpha ? 1 : alpha;
    for (let n = 0; n < 3; n++) {
      const value = (data[isGrey ? index : index + n] ?? 0) / maxValue;
      result[target++] = Math.round(255 * (1 - coverage + coverage * value));
    }
    if (resultChannels === 4) result[target++] = Math.round(255 * alpha);
  }
  return { width, height, channels: resultChannels, data: result };
}

/** Expands narrow-range video samples (16–235 of 256) to the full range. Alpha always has the full range. */
export function expandToFullRange(samples: Samples): Samples {
  const { channels, data } = samples;
  const unit = data instanceof Uint16Array ? 256 : 1;
  const maxValue = data instanceof Uint16Array ? 65_535 : 255;
  const colourChannels = channels - (channels === 2 || channels === 4 ? 1 : 0);
  const result = data.slice();
  for (let index = 0; index < data.length; index += channels) {
    for (let n = 0; n < colourChannels; n++) {
      const value = (((data[index + n] ?? 0) - 16 * unit) * maxValue) / (219 * unit);
      result[index + n] = Math.max(0, Math.min(maxValue, Math.round(value)));
    }
  }
  return { ...samples, data: result };
}
