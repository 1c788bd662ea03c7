import { describe, expect, test } from 'vitest';
import { decodePicture } from '../../../src/imaging/decoding/decode-picture.ts';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import { type TiffPageInput, writeTiffPages } from '../support/write-tiff-pages.ts';

const preview: TiffPageInput = { width: 16, height: 12, colour: [0, 255, 0], tags: { 254: 1 } };
const picture: TiffPageInput = { width: 64, height: 48, colour: [255, 0, 0] };

describe('the decoded TIFF page', () => {
  test.each<[string, number, readonly TiffPageInput[]]>([
    ['the first page', 2, [picture, { ...picture, width: 80 }]],
    ['the page after a preview', 2, [preview, picture]],
    [
      'the page after a preview with the obsolete preview tag',
      2,
      [{ ...preview, tags: { 255: 2 } }, picture],
    ],
    ['the page after a mask', 2, [{ ...picture, colour: [0, 0, 0], tags: { 254: 4 } }, picture]],
    [
      'a full-size page in the sub-directories of a preview',
      1,
      [{ ...preview, subPages: [preview, picture] }],
    ],
    ['a page with previews in sub-directories', 1, [{ ...picture, subPages: [preview] }]],
  ])('is %s', async (_name, frames, pages) => {
    const bytes = writeTiffPages(pages);
    const facts = await probe(bytes, limits);
    expect(facts).toMatchObject({ width: 64, height: 48, frames });
    expect([...(await decodePicture(bytes, facts, facts)).data.subarray(0, 3)]).toEqual([255, 0, 0]);
  });

  test('is a preview if the file contains no other page', async () => {
    expect(await probe(writeTiffPages([preview]), limits)).toMatchObject({ width: 16, height: 12 });
  });
});

test('rejects a preview whose sub-directory contains only a smaller picture', async () => {
  const bytes = writeTiffPages([{ ...preview, subPages: [{ ...picture, width: 4, height: 4 }] }]);
  await expect(probe(bytes, limits)).rejects.toMatchObject({
    code: 'picture_unsupported',
    message: expect.stringContaining('a preview of 16 × 12 pixels') as string,
  });
});

test('counts all pages, but applies the pixel limit to the decoded page only', async () => {
  const bytes = writeTiffPages([picture, picture, { ...picture, width: 200 }]);
  const tightLimits = { ...limits, maxPixels: 64 * 48 };
  expect(await probe(bytes, tightLimits)).toMatchObject({ frames: 3 });
  await expect(probe(bytes, { ...tightLimits, maxFrames: 2 })).rejects.toMatchObject({
    message: 'The image has 3 frames; the limit is 2.',
  });
});

const sensor = { width: 128, height: 96, colour: [9, 9, 9], tags: { 262: 32_803 } } as const;
const cameraTags = { 254: 1, 271: 'NIKON CORPORATION' };

describe('a camera raw file', () => {
  test.each<[string, readonly TiffPageInput[]]>([
    ['with a filter array in a sub-directory', [{ ...preview, tags: cameraTags, subPages: [sensor] }]],
    ['with a filter array on a later page', [{ ...preview, tags: cameraTags }, sensor]],
    ['with a compression that only cameras use', [{ ...picture, tags: { 259: 65_535 } }]],
    ['with linear samples', [{ ...preview, subPages: [{ ...sensor, tags: { 262: 34_892 } }] }]],
    ['with a DNG version', [{ ...preview, tags: { 50_706: 0x01040000 } }]],
  ])('%s is rejected', async (_name, pages) => {
    await expect(probe(writeTiffPages(pages), limits)).rejects.toMatchObject({
      code: 'format_not_allowed',
      message: expect.stringMatching(/^This is a camera raw image; /) as string,
    });
  });

  test("is not confused with a TIFF exported by a camera maker's program", async () => {
    const bytes = writeTiffPages([
      { ...picture, tags: { 271: 'NIKON CORPORATION', 272: 'NIKON D850' }, subPages: [preview] },
    ]);
    expect(await probe(bytes, limits)).toMatchObject({ format: 'tiff', width: 64, height: 48 });
  });
});
