import sharp from 'sharp';
import { expect, test } from 'vitest';
import { sniffFormat } from '../../../src/imaging/formats/identify-format.ts';
import { pictureFormats as allFormats } from '../../../src/model/picture.ts';
import { bmpFile } from '../fixtures/bmp-files.ts';
import { gradientPicture } from '../fixtures/pictures.ts';

/** HEIC is only allowed where the image library reads it. */
const pictureFormats = allFormats.filter((format) => format !== 'heic');

test.each(['jpeg', 'png', 'gif', 'webp', 'avif', 'tiff'] as const)(
  'identifies %s by its content',
  async (format) => {
    const bytes = await gradientPicture(40, 30).toFormat(format).toBuffer();
    expect(await sniffFormat(bytes, pictureFormats)).toEqual({ format });
  },
);

test('identifies a TIFF whose directory is beyond the first 4100 bytes', async () => {
  const bytes = await gradientPicture(200, 200).tiff({ compression: 'none' }).toBuffer();
  expect(await sniffFormat(bytes.subarray(0, 4100), pictureFormats)).toEqual({ format: 'tiff' });
});

test('identifies a BMP by its content', async () => {
  const bytes = bmpFile({ width: 1, height: 1, bits: 24, pixels: new Uint8Array(4) });
  expect(await sniffFormat(bytes, pictureFormats)).toEqual({ format: 'bmp' });
});

test.each([
  ['%PDF-1.7\n%âãÏÓ\n', 'not_a_picture', 'a PDF document'],
  ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'format_not_allowed', 'an SVG drawing'],
  ['<?xml version="1.0"?><!-- c --><svg xmlns="http://www.w3.org/2000/svg"/>', 'format_not_allowed', 'SVG'],
  ['<!DOCTYPE html><title>No</title>', 'not_a_picture', 'an HTML page'],
  ['<?xml version="1.0"?><feed/>', 'not_a_picture', 'an XML document'],
  ['sku;name;price\n1;Schüssel;9,90\n', 'not_a_picture', 'a plain text file'],
  ['8BPS\0\x01', 'format_not_allowed', 'a Photoshop document'],
  ['\0\0\x01\0\x01\0\x10\x10', 'format_not_allowed', 'a Windows icon'],
  ['PK\x03\x04\x14\0\0\0\0\0', 'not_a_picture', ''],
  ['\0\0\0\x18ftypheic\0\0\0\0heicmif1', 'format_not_allowed', 'an HEIC image'],
  ['DDS |\0\0\0', 'format_not_allowed', 'a DDS texture'],
  ['\x93\x00\x17', 'not_a_picture', 'not a known kind of image'],
])('rejects %j and includes its format in the error message', async (content, code, name) => {
  const head = Buffer.from(content, content.includes('Schüssel') ? 'utf8' : 'latin1');
  await expect(sniffFormat(head, pictureFormats)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(name) as string,
  });
});

test.each([
  ['CRLF to LF', '\r\n', '\n'],
  ['LF to CRLF', '\n', '\r\n'],
])('reports a PNG as corrupt if a text-mode transfer converted %s', async (_name, from, to) => {
  const bytes = await gradientPicture(20, 20).png().toBuffer();
  const convertedFile = Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1');
  await expect(sniffFormat(convertedFile, pictureFormats)).rejects.toMatchObject({
    code: 'picture_corrupt',
    message: expect.stringContaining('a text-mode transfer') as string,
  });
});

test('rejects an empty file', async () => {
  await expect(sniffFormat(new Uint8Array(), pictureFormats)).rejects.toMatchObject({ code: 'empty_file' });
});

test('includes the detected format and the accepted formats in the error message', async () => {
  const bytes = await sharp({ create: { width: 2, height: 2, channels: 3, background: 'red' } })
    .gif()
    .toBuffer();
  await expect(sniffFormat(bytes, ['jpeg', 'png'])).rejects.toMatchObject({
    code: 'format_not_allowed',
    message: 'This is an image in GIF format; Vitrine accepts JPEG and PNG.',
  });
});
