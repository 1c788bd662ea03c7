import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { deriveRenditions } from '../../../src/imaging/renditions/derive-renditions.ts';
import { probe } from '../../../src/imaging/probe.ts';
import { bmpFile } from '../fixtures/bmp-files.ts';
import {
  gradient,
  gradientPicture,
  limits,
  meanDifference,
  decodeRgb,
  presets,
  variants,
} from '../fixtures/pictures.ts';
import { listedVariant, makePreset } from '../../../src/model/preset.ts';

const width = 300;
const height = 200;
const uprightPixels = gradient(width, height);

/** Returns the pixels of the `zoom` rendition, which has the size of the source in these tests. */
async function decodeZoomRendition(bytes: Uint8Array): Promise<Buffer> {
  const { renditions } = await deriveRenditions(bytes, limits, variants);
  return decodeRgb(renditions.find((rendition) => rendition.preset.name === 'zoom')!.data);
}

/** Returns where a file with this orientation flag stores the upright pixel (x, y). See EXIF 2.32, 4.6.4. */
function storedPosition(orientation: number, x: number, y: number): readonly [number, number] {
  const [right, bottom] = [width - 1 - x, height - 1 - y];
  const positions = [
    [x, y],
    [right, y],
    [right, bottom],
    [x, bottom],
    [y, x],
    [y, right],
    [bottom, right],
    [bottom, x],
  ];
  return positions[orientation - 1] as [number, number];
}

/** Returns a JPEG of the upright picture, stored with this orientation flag. */
async function encodeOrientedJpeg(orientation: number): Promise<Buffer> {
  const swapsSides = orientation >= 5;
  const size = swapsSides ? { width: height, height: width } : { width, height };
  const storedPixels = Buffer.alloc(uprightPixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = storedPosition(orientation, x, y);
      uprightPixels.copy(
        storedPixels,
        (row * size.width + column) * 3,
        (y * width + x) * 3,
        (y * width + x) * 3 + 3,
      );
    }
  }
  return sharp(storedPixels, { raw: { ...size, channels: 3 } })
    .jpeg({ quality: 95 })
    .withMetadata({ orientation })
    .toBuffer();
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('turns a picture with orientation %i upright', async (orientation) => {
  const bytes = await encodeOrientedJpeg(orientation);
  expect(await probe(bytes, limits)).toMatchObject({ width, height });
  expect(meanDifference(await decodeZoomRendition(bytes), uprightPixels)).toBeLessThan(2);
});

describe('for 8-bit sRGB renditions', () => {
  test('converts Display P3', async () => {
    const bytes = await gradientPicture(width, height).withIccProfile('p3').jpeg({ quality: 95 }).toBuffer();
    const unconvertedPixels = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer();
    const colours = await decodeRgb(bytes);
    // Ignoring the profile would give visibly different colours.
    expect(meanDifference(unconvertedPixels, colours)).toBeGreaterThan(3);
    expect(meanDifference(await decodeZoomRendition(bytes), colours)).toBeLessThan(2);
  });

  test('converts CMYK', async () => {
    const bytes = await gradientPicture(width, height).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer();
    expect(await probe(bytes, limits)).toMatchObject({ colorSpace: 'CMYK', hasAlpha: false });
    expect(meanDifference(await decodeZoomRendition(bytes), await decodeRgb(bytes))).toBeLessThan(2);
  });

  test('converts 16-bit colour', async () => {
    const bytes = await gradientPicture(width, height).toColourspace('rgb16').png().toBuffer();
    expect(await probe(bytes, limits)).toMatchObject({ colorSpace: 'RGB', bitDepth: 16 });
    expect(meanDifference(await decodeZoomRendition(bytes), uprightPixels)).toBeLessThan(2);
  });

  test('converts 8-bit and 16-bit grey', async () => {
    const grey = gradientPicture(width, height).greyscale();
    const bytes = await grey.clone().toColourspace('b-w').jpeg({ quality: 95 }).toBuffer();
    expect(await probe(bytes, limits)).toMatchObject({ colorSpace: 'L', bitDepth: 8 });
    const reference = await decodeRgb(bytes);
    expect(meanDifference(await decodeZoomRendition(bytes), reference)).toBeLessThan(2);
    const deepGrey = await grey.clone().toColourspace('grey16').png().toBuffer();
    expect(await probe(deepGrey, limits)).toMatchObject({ colorSpace: 'I;16', bitDepth: 16 });
    expect(meanDifference(await decodeZoomRendition(deepGrey), reference)).toBeLessThan(2);
  });

  test('converts a palette', async () => {
    const bytes = await gradientPicture(width, height).png({ palette: true }).toBuffer();
    expect(await probe(bytes, limits)).toMatchObject({ colorSpace: 'P' });
    expect(meanDifference(await decodeZoomRendition(bytes), await decodeRgb(bytes))).toBeLessThan(8);
  });

  test('places transparent pictures on white', async () => {
    const background = { r: 255, g: 0, b: 0, alpha: 0.5 };
    const bytes = await sharp({ create: { width: 40, height: 40, channels: 4, background } })
      .png()
      .toBuffer();
    expect(await probe(bytes, limits)).toMatchObject({ colorSpace: 'RGBA', hasAlpha: true });
    const [red, green, blue] = await decodeZoomRendition(bytes);
    expect(red).toBeGreaterThan(250);
    expect(Math.abs(green! - 127)).toBeLessThan(5);
    expect(Math.abs(blue! - 127)).toBeLessThan(5);
  });

  test.each(['webp', 'avif', 'tiff', 'png'] as const)('converts %s', async (format) => {
    const bytes = await gradientPicture(width, height)
      .toFormat(format, format === 'png' ? {} : { quality: 95 })
      .toBuffer();
    expect(await probe(bytes, limits)).toMatchObject({ format, width, height, colorSpace: 'RGB' });
    expect(meanDifference(await decodeZoomRendition(bytes), uprightPixels)).toBeLessThan(3);
  });

  test('converts BMP', async () => {
    const pixels = await sharp(uprightPixels, { raw: { width, height, channels: 3 } })
      .flip()
      .recomb([
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
      ])
      .raw()
      .toBuffer();
    const bytes = bmpFile({ width, height, bits: 24, pixels });
    expect(await probe(bytes, limits)).toMatchObject({ format: 'bmp', width, height, colorSpace: 'RGB' });
    expect(meanDifference(await decodeZoomRendition(bytes), uprightPixels)).toBeLessThan(2);
  });
});

test.each(['gif', 'webp'] as const)('uses the first frame of an animated %s', async (format) => {
  const frames = Buffer.concat([Buffer.alloc(64 * 64 * 3, 0), Buffer.alloc(64 * 64 * 3, 255)]);
  const raw = { width: 64, height: 128, channels: 3, pageHeight: 64 } as const;
  const bytes = await sharp(frames, { raw }).toFormat(format).toBuffer();
  expect(await probe(bytes, limits)).toMatchObject({ format, width: 64, height: 64, frames: 2 });
  expect(meanDifference(await decodeZoomRendition(bytes), Buffer.alloc(64 * 64 * 3, 0))).toBeLessThan(3);
  await expect(probe(bytes, { ...limits, maxFrames: 1 })).rejects.toMatchObject({
    code: 'picture_too_large',
    message: 'The image has 2 frames; the limit is 1.',
  });
});

test('applies a separate pixel limit to AVIF', async () => {
  const avif = await gradientPicture(64, 48).avif({ effort: 0 }).toBuffer();
  await expect(probe(avif, { ...limits, maxAvifPixels: 3071 })).rejects.toMatchObject({
    code: 'picture_too_large',
    message: 'The image has 64 × 48 pixels, 3072 in total; the limit for AVIF is 3071.',
  });
  await expect(probe(avif, { ...limits, maxAvifPixels: 3072 })).resolves.toMatchObject({ format: 'avif' });
  const png = await gradientPicture(64, 48).png().toBuffer();
  await expect(probe(png, { ...limits, maxAvifPixels: 3071 })).resolves.toMatchObject({ format: 'png' });
});

test('writes no metadata if the preset keeps none', async () => {
  const bytes = await gradientPicture(width, height)
    .withIccProfile('p3')
    .withExif({
      IFD0: { Artist: 'a photographer' },
      IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '52/1 31/1 0/1' },
    })
    .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>a photographer</a></x:xmpmeta>')
    .jpeg()
    .toBuffer();
  expect(await sharp(bytes).metadata()).toHaveProperty('exif');
  expect(bytes.includes('a photographer')).toBe(true);
  const bare = presets.map((preset) => listedVariant({ ...preset, keepMetadata: [] }));
  for (const { data } of (await deriveRenditions(bytes, limits, bare)).renditions) {
    const metadata = await sharp(data).metadata();
    for (const name of ['exif', 'icc', 'xmp', 'iptc', 'orientation'])
      expect(metadata).not.toHaveProperty(name);
    expect(data.includes('a photographer')).toBe(false);
  }
});

test('does not enlarge pictures', async () => {
  const bytes = await gradientPicture(90, 50).png().toBuffer();
  const { renditions } = await deriveRenditions(bytes, limits, variants);
  expect(renditions.map((rendition) => [rendition.width, rendition.height])).toEqual([
    [90, 50],
    [90, 50],
    [90, 50],
  ]);
});

test('produces the same bytes for the same original', async () => {
  const bytes = await gradientPicture(1500, 1100).jpeg({ progressive: true }).toBuffer();
  const [first, second] = await Promise.all([1, 2].map(() => deriveRenditions(bytes, limits, variants)));
  expect(first).toEqual(second);
});

const boxes = [
  ...presets,
  makePreset({ name: 'wide', width: 1000, height: 90, quality: 90 }),
  makePreset({ name: 'tall', width: 77, height: 2000, quality: 70 }),
];

test.each([
  [1274, 1580],
  [3200, 900],
  [5000, 4000],
])('derives renditions that match a direct resize of a %i × %i picture', async (w, h) => {
  const bytes = await gradientPicture(w, h).jpeg({ quality: 95 }).toBuffer();
  const { renditions } = await deriveRenditions(bytes, limits, boxes.map(listedVariant));
  expect(renditions.map((rendition) => rendition.preset.name).sort()).toEqual(
    boxes.map((box) => box.name).sort(),
  );
  for (const { preset, data, ...rendition } of renditions) {
    const size = { width: rendition.width, height: rendition.height };
    const sourcePixels = await sharp(bytes).raw().toBuffer();
    // The reference is encoded the same way, so the comparison excludes JPEG losses.
    const reference = await sharp(sourcePixels, { raw: { width: w, height: h, channels: 3 } })
      .resize({ ...size, fit: 'fill' })
      .jpeg({ quality: preset.quality.jpeg })
      .toBuffer();
    expect(await sharp(data).metadata(), preset.name).toMatchObject(size);
    expect(meanDifference(await decodeRgb(data), await decodeRgb(reference)), preset.name).toBeLessThan(2);
  }
});

describe('invalid pictures', () => {
  test('are rejected if they have too many pixels, with the value and the limit in the error message', async () => {
    const bytes = await gradientPicture(width, height).png().toBuffer();
    await expect(deriveRenditions(bytes, { ...limits, maxPixels: 59_999 }, variants)).rejects.toMatchObject({
      code: 'picture_too_large',
      message: 'The image has 300 × 200 pixels, 60000 in total; the limit is 59999.',
    });
  });

  test('are rejected if a side is too long', async () => {
    const bytes = await sharp({ create: { width: 16_384, height: 1, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await expect(probe(bytes, limits)).rejects.toMatchObject({ code: 'picture_too_large' });
  });

  test('are rejected if they are truncated JPEG files', async () => {
    const bytes = await gradientPicture(width, height).jpeg().toBuffer();
    await expect(
      deriveRenditions(bytes.subarray(0, bytes.length / 2), limits, variants),
    ).rejects.toMatchObject({
      code: 'picture_cut',
      message: 'The JPEG image is truncated: the file ends too early.',
    });
  });

  test('are rejected if they are malformed TIFF files', async () => {
    const bytes = Buffer.from('II*\0\x08\0\0\0\0\0\0\0\0\0', 'latin1');
    await expect(probe(bytes, limits)).rejects.toMatchObject({ code: 'picture_unreadable' });
  });
});
