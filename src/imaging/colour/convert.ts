import { sharp } from '../native-library.ts';
import type { Pixels } from '../pixels.ts';
import { writePlainTiff } from '../plain-tiff.ts';
import { readSamples, type Samples } from '../samples.ts';

/** Colours whose conversion shows whether a profile does anything: corners, greys and muted ones. */
const testColours = Uint8Array.from(
  [0, 51, 128, 204, 255].flatMap((red) =>
    [0, 77, 128, 230, 255].flatMap((green) => [0, 64, 128, 179, 255].flatMap((blue) => [red, green, blue])),
  ),
);

/**
 * Whether an RGB profile changes any colour. One that does not is sRGB, or broken: the image library ignores those,
 * but only where it converts 8 bits. For 16 bits it would use Display P3 instead of a broken profile.
 */
export async function changesColours(profile: Uint8Array): Promise<boolean> {
  const size = { width: testColours.length / 3, height: 1 };
  const file = writePlainTiff({ ...size, channels: 3, data: testColours }, 'rgb', profile);
  const { data } = await readSamples(sharp(file), 'srgb', 8);
  return data.length !== testColours.length || data.some((value, at) => value !== testColours[at]);
}

/**
 * Samples of grey or RGB, which `profile` describes, to opaque 8-bit sRGB on white. The profile was checked by
 * `changesColours` if it is one of RGB for 16-bit samples.
 */
export async function convertSamples(samples: Samples, profile: Uint8Array): Promise<Pixels> {
  const isDeep = samples.data instanceof Uint16Array;
  const isGrey = samples.channels <= 2;
  const file = writePlainTiff(samples, isGrey ? 'grey' : 'rgb', profile);
  // The profile is applied as that of the output: as that of the input, the image library would convert 16 bits to
  // Display P3, clip there, and leave 16-bit grey as it is.
  const image = sharp(file, { ignoreIcc: true, limitInputPixels: false }).withIccProfile('srgb');
  const space = isDeep ? (isGrey ? 'grey16' : 'rgb16') : 'srgb';
  return layOnWhite(await readSamples(image, space, isDeep ? 16 : 8));
}

/** Samples that are sRGB already (or grey with its curve), with or without alpha, as opaque pixels on white. */
export function layOnWhite({ width, height, channels, data }: Samples): Pixels {
  const full = data instanceof Uint16Array ? 65_535 : 255;
  const isGrey = channels <= 2;
  const hasAlpha = channels === 2 || channels === 4;
  const result = Buffer.allocUnsafe(width * height * 3);
  let to = 0;
  for (let at = 0; at < data.length; at += channels) {
    const alpha = hasAlpha ? (data[at + channels - 1] ?? 0) / full : 1;
    for (let n = 0; n < 3; n++) {
      const value = (data[isGrey ? at : at + n] ?? 0) / full;
      result[to++] = Math.round(255 * (1 - alpha + alpha * value));
    }
  }
  return { width, height, data: result };
}

/** Samples of the narrow range of video (16–235 of 256) spread to the full one; alpha has the full range always. */
export function widenRange(samples: Samples): Samples {
  const { channels, data } = samples;
  const unit = data instanceof Uint16Array ? 256 : 1;
  const full = data instanceof Uint16Array ? 65_535 : 255;
  const colours = channels - (channels === 2 || channels === 4 ? 1 : 0);
  const result = data.slice();
  for (let at = 0; at < data.length; at += channels) {
    for (let n = 0; n < colours; n++) {
      const value = (((data[at + n] ?? 0) - 16 * unit) * full) / (219 * unit);
      result[at + n] = Math.max(0, Math.min(full, Math.round(value)));
    }
  }
  return { ...samples, data: result };
}
