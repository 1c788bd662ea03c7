import { describe, expect, test } from 'vitest';
import { sniffFormat } from '../../../src/imaging/formats/identify-format.ts';
import { pictureFormats as allFormats } from '../../../src/model/picture.ts';
import { gradientPicture } from '../fixtures/pictures.ts';

/** HEIC is only allowed where the image library reads it. */
const pictureFormats = allFormats.filter((format) => format !== 'heic');

const bytesOf = (...bytes: readonly number[]) => Buffer.from(bytes);
const text = (content: string) => Buffer.from(content, 'latin1');
const pad = (head: Uint8Array, length = 200) => Buffer.concat([head, Buffer.alloc(length)]);

/** The header of an uncompressed true-colour TGA. It starts like the header of a Windows cursor. */
const targa = pad(bytesOf(0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 96, 0, 72, 0, 24, 32));
const icon = (kind: number) =>
  pad(bytesOf(0, 0, kind, 0, 1, 0, 32, 32, 0, 0, 3, 0, 3, 0, 91, 1, 0, 0, 22, 0, 0, 0));
const pcx = (() => {
  const head = Buffer.alloc(200);
  head.set([10, 5, 1, 8, 0, 0, 0, 0, 63, 0, 47, 0]);
  head[65] = 3;
  return head;
})();
const fileWithBrands = (...names: readonly string[]) => {
  const [major = '', ...others] = names;
  const box = text(`\0\0\0\0ftyp${major}\0\0\0\0${others.join('')}`);
  box.writeUInt32BE(box.length);
  return pad(box);
};

describe('unsupported formats', () => {
  test.each<[string, Buffer]>([
    ['a TGA image', targa],
    ['a TGA image', pad(bytesOf(7, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 32, 8))],
    ['a TGA image', pad(bytesOf(0, 1, 1, 0, 0, 0, 1, 24, 0, 0, 0, 0, 96, 0, 72, 0, 8, 0))],
    ['a Windows cursor', icon(2)],
    ['a Windows icon', icon(1)],
    ['a PCX image', pcx],
    ['a portable pixmap (PPM)', pad(text('P6\n# comment\n96 72\n255\n'))],
    ['a portable greymap (PGM)', text('P2 2 2 255 0 1 2 3')],
    ['a JPEG-LS image', pad(bytesOf(0xff, 0xd8, 0xff, 0xf7, 0, 11))],
    ['a Radiance HDR image', text('#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 72 +X 96\n')],
    ['a PostScript drawing', text('%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 72\n')],
    ['a camera raw image', pad(text('FUJIFILMCCD-RAW 0201FF389501X-T3'))],
    ['a camera raw image', pad(text('II*\0\x10\0\0\0CR\x02\0'))],
    ['a camera raw image', fileWithBrands('crx ', 'crx ', 'isom')],
    ['an HEIC image', fileWithBrands('mif1', 'heic')],
    ['an SVG drawing', text('<!-- <html> --><svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>')],
    ['an SVG drawing', Buffer.from('\ufeff<svg xmlns="http://www.w3.org/2000/svg"/>', 'utf16le')],
  ])('are rejected with an error message that contains the format: %s', async (name, head) => {
    await expect(sniffFormat(head, pictureFormats)).rejects.toMatchObject({
      code: 'format_not_allowed',
      message: expect.stringContaining(`This is ${name}; `) as string,
    });
  });
});

describe('files that begin like pictures', () => {
  test.each<[string, string]>([
    ['a plain text file', 'BMW;3er;blue\nAudi;A4;red\n'],
    ['a plain text file', 'GIFT-1;Gift box;9.90\n'],
    ['a plain text file', 'P5 is the fifth position of the list\n'],
    ['a plain text file', 'ID3;price\n1;9,90\n'],
    ['a plain text file', 'MZ-100;Motor\n'],
    ['a PDF document', '%PDF-1.7\n1 0 obj\n'],
    ['an HTML page', '<!doctype html><title>x</title><svg xmlns="http://www.w3.org/2000/svg"></svg>'],
    ['an HTML page', '<html><body><svg></svg></body></html>'],
    ['not a known kind of image', '\0\0\x02\0\0\0\0\0 and anything else'],
    ['not a known kind of image', '\xff\xfb\x90\x64\0\0\0\0\0\0\0\0'],
  ])('are rejected as %s: %j', async (name, content) => {
    await expect(sniffFormat(text(content), pictureFormats)).rejects.toMatchObject({
      code: 'not_a_picture',
      message: expect.stringContaining(`This is ${name}`) as string,
    });
  });
});

describe('AVIF', () => {
  test.each(['mif1', 'miaf', 'msf1', 'MA1A', 'MA1B', 'avis'])(
    'is identified if its major brand is %s',
    async (brand) => {
      const bytes = await gradientPicture(64, 48).avif().toBuffer();
      bytes.write(brand, 8, 'latin1');
      expect(await sniffFormat(bytes, pictureFormats)).toEqual({ format: 'avif' });
    },
  );

  test('is identified by its codec if the brands are inconclusive', async () => {
    const bytes = await gradientPicture(64, 48).avif().toBuffer();
    const end = bytes.readUInt32BE(0);
    for (let offset = 8; offset < end; offset += 4) if (offset !== 12) bytes.write('mif1', offset, 'latin1');
    expect(await sniffFormat(bytes, pictureFormats)).toEqual({ format: 'avif' });
    const codec = bytes.indexOf('av01');
    bytes.write('hvc1', codec, 'latin1');
    await expect(sniffFormat(bytes, pictureFormats)).rejects.toMatchObject({
      message: expect.stringContaining('This is an HEIC image; ') as string,
    });
  });
});
