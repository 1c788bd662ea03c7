import { expect, test } from 'vitest';
import { decodeBmp } from '../../../src/imaging/decoding/bmp.ts';
import { readBmpHeader } from '../../../src/imaging/containers/bmp.ts';
import { type BmpParts, bmpFile, packRows } from '../fixtures/bmp-files.ts';

const red = [255, 0, 0] as const;
const green = [0, 255, 0] as const;
const blue = [0, 0, 255] as const;
const white = [255, 255, 255] as const;
const palette = [red, green, blue, white];

// Most tests decode this picture: red and green in the first row, blue and white in the second.
const uprightPixels = [...red, ...green, ...blue, ...white];
const indexRows = [
  [2, 3],
  [0, 1],
];
const rgb = ([r, g, b]: readonly [number, number, number]) => (r << 16) | (g << 8) | b;
const trueColourRows = [
  [rgb(blue), rgb(white)],
  [rgb(red), rgb(green)],
];

function decode(parts: BmpParts) {
  const file = bmpFile(parts);
  return decodeBmp(file, readBmpHeader(file));
}

const size = { width: 2, height: 2 };

test.each([1, 4, 8])('decodes pixels with %i-bit palette indices', (bits) => {
  const rows =
    bits === 1
      ? [
          [0, 1],
          [1, 0],
        ]
      : indexRows;
  const colours = bits === 1 ? [red, white] : palette;
  const picture = decode({ ...size, bits, palette: colours, pixels: packRows(rows, bits) });
  const expected = bits === 1 ? [...white, ...red, ...red, ...white] : uprightPixels;
  expect([...picture.data]).toEqual(expected);
});

test('decodes an OS/2 palette with three bytes per colour', () => {
  const picture = decode({ ...size, bits: 8, headerBytes: 12, palette, pixels: packRows(indexRows, 8) });
  expect([...picture.data]).toEqual(uprightPixels);
});

test.each([24, 32])('decodes %i-bit colour', (bits) => {
  expect([...decode({ ...size, bits, pixels: packRows(trueColourRows, bits) }).data]).toEqual(uprightPixels);
});

test('decodes rows stored from top to bottom', () => {
  const pixels = packRows([...trueColourRows].reverse(), 24);
  expect([...decode({ width: 2, height: -2, bits: 24, pixels }).data]).toEqual(uprightPixels);
});

test('decodes 16-bit colour as 5-5-5 unless the header contains masks', () => {
  const rows555 = [
    [0x001f, 0x7fff],
    [0x7c00, 0x03e0],
  ];
  expect([...decode({ ...size, bits: 16, pixels: packRows(rows555, 16) }).data]).toEqual(uprightPixels);
  const rows565 = [
    [0x001f, 0xffff],
    [0xf800, 0x07e0],
  ];
  const masks = [0xf800, 0x07e0, 0x001f];
  const picture = decode({ ...size, bits: 16, compression: 3, masks, pixels: packRows(rows565, 16) });
  expect([...picture.data]).toEqual(uprightPixels);
});

test.each([56, 108, 124])('applies an alpha mask in a %i-byte header', (headerBytes) => {
  const masks = [0xff, 0xff00, 0xff0000, 0xff000000];
  const pixels = packRows(
    [
      [0x80ff0000, 0x80ffffff],
      [0x800000ff, 0x8000ff00],
    ],
    32,
  );
  const picture = decode({ ...size, bits: 32, compression: 3, headerBytes, masks, pixels });
  expect(picture.channels).toBe(4);
  expect([...picture.data.subarray(0, 8)]).toEqual([...red, 128, ...green, 128]);
});

test('ignores an alpha mask that would make the whole picture invisible', () => {
  const masks = [0xff0000, 0xff00, 0xff, 0xff000000];
  const pixels = packRows(trueColourRows, 32);
  const picture = decode({ ...size, bits: 32, compression: 3, headerBytes: 56, masks, pixels });
  expect(picture.data[3]).toBe(255);
});

test('decodes RLE8 runs, literals and skips', () => {
  const pixels = Buffer.from([0, 4, 2, 3, 0, 0, 0, 0, 1, 0, 1, 1, 0, 1]);
  // The run of four is truncated at the end of the row.
  expect([...decode({ ...size, bits: 8, compression: 1, palette, pixels }).data]).toEqual(uprightPixels);
  const pixelsWithSkips = Buffer.from([1, 2, 0, 2, 0, 1, 1, 1, 0, 1]);
  const picture = decode({ ...size, bits: 8, compression: 1, palette, pixels: pixelsWithSkips });
  expect([...picture.data]).toEqual([...red, ...green, ...blue, ...red]);
});

test('decodes RLE4 runs of two alternating colours', () => {
  const pixels = Buffer.from([2, 0x23, 0, 0, 2, 0x01, 0, 1]);
  expect([...decode({ ...size, bits: 4, compression: 2, palette, pixels }).data]).toEqual(uprightPixels);
});

test.each<[string, string, BmpParts]>([
  ['missing pixels', 'picture_cut', { width: 100, height: 100, bits: 24, pixels: new Uint8Array(50) }],
  ['a zero width', 'picture_corrupt', { width: 0, height: 5, bits: 24, pixels: new Uint8Array(50) }],
  ['a negative width', 'picture_corrupt', { width: -3, height: 5, bits: 24, pixels: new Uint8Array(50) }],
  ['an invalid bit depth', 'picture_corrupt', { width: 1, height: 1, bits: 13, pixels: new Uint8Array(50) }],
  [
    'an unknown compression',
    'picture_unsupported',
    { width: 1, height: 1, bits: 24, compression: 77, pixels: new Uint8Array(50) },
  ],
  ['no palette', 'picture_corrupt', { width: 1, height: 1, bits: 8, pixels: new Uint8Array(50) }],
  [
    'truncated run lengths',
    'picture_cut',
    { ...size, bits: 8, compression: 1, palette, pixels: Buffer.from([1, 2]) },
  ],
])('rejects %s with the code %s', (_name, code, parts) => {
  expect(() => decode(parts)).toThrow(expect.objectContaining({ code }) as Error);
});

test('rejects a truncated file with a specific error, regardless of where the file ends', () => {
  const file = bmpFile({
    ...size,
    bits: 4,
    compression: 2,
    palette,
    pixels: Buffer.from([2, 0x23, 0, 0, 2, 1, 0, 1]),
  });
  for (let length = 0; length < file.length - 2; length++) {
    const truncatedFile = file.subarray(0, length);
    expect(() => decodeBmp(truncatedFile, readBmpHeader(truncatedFile))).toThrow(
      /^The BMP image is (truncated|corrupt): it /,
    );
  }
});

test('rejects a BMP that contains a JPEG', () => {
  expect(() => decode({ ...size, bits: 24, compression: 4, pixels: new Uint8Array(9) })).toThrow(
    /contains only an embedded JPEG/,
  );
});
