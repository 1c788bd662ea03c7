import { describe, expect, test } from 'vitest';
import { decodePicture } from '../../../src/imaging/decoding/decode-picture.ts';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import { type TiffPageInput, writeTiffPages } from '../support/write-tiff-pages.ts';

const preview: TiffPageInput = { width: 16, height: 12, colour: [0, 255, 0], tags: { 254: 1 } };
const picture: TiffPageInput = { width: 64, height: 48, colour: [255, 0, 0] };

describe('the picture of a TIFF is', () => {
  test.each<[string, number, readonly TiffPageInput[]]>([
    ['its first page', 2, [picture, { ...picture, width: 80 }]],
    ['the page behind a preview', 2, [preview, picture]],
    ['the page behind a preview marked in the old way', 2, [{ ...preview, tags: { 255: 2 } }, picture]],
    ['the page behind a mask', 2, [{ ...picture, colour: [0, 0, 0], tags: { 254: 4 } }, picture]],
    ['a sub-directory of its preview', 1, [{ ...preview, subPages: [preview, picture] }]],
    ['a page with previews in sub-directories', 1, [{ ...picture, subPages: [preview] }]],
  ])('%s', async (_name, frames, pages) => {
    const bytes = writeTiffPages(pages);
    const facts = await probe(bytes, limits);
    expect(facts).toMatchObject({ width: 64, height: 48, frames });
    expect([...(await decodePicture(bytes, facts, facts)).data.subarray(0, 3)]).toEqual([255, 0, 0]);
  });

  test('what is marked as a preview, where there is nothing else', async () => {
    expect(await probe(writeTiffPages([preview]), limits)).toMatchObject({ width: 16, height: 12 });
  });
});

test('a preview does not pass for the picture that it belongs to', async () => {
  const bytes = writeTiffPages([{ ...preview, subPages: [{ ...picture, width: 4, height: 4 }] }]);
  await expect(probe(bytes, limits)).rejects.toMatchObject({
    code: 'picture_unsupported',
    message: expect.stringContaining('a preview of 16 × 12 pixels') as string,
  });
});

test('pages are counted, and the limits are those of the page that is used', async () => {
  const bytes = writeTiffPages([picture, picture, { ...picture, width: 200 }]);
  const tight = { ...limits, maxPixels: 64 * 48 };
  expect(await probe(bytes, tight)).toMatchObject({ frames: 3 });
  await expect(probe(bytes, { ...tight, maxFrames: 2 })).rejects.toMatchObject({
    message: 'The picture has 3 frames; the limit is 2.',
  });
});

const sensor = { width: 128, height: 96, colour: [9, 9, 9], tags: { 262: 32_803 } } as const;
const maker = { 254: 1, 271: 'NIKON CORPORATION' };

describe('camera raw', () => {
  test.each<[string, readonly TiffPageInput[]]>([
    ['with a filter array in a sub-directory', [{ ...preview, tags: maker, subPages: [sensor] }]],
    ['with a filter array on a later page', [{ ...preview, tags: maker }, sensor]],
    ['with a compression of cameras', [{ ...picture, tags: { 259: 65_535 } }]],
    ['with linear numbers', [{ ...preview, subPages: [{ ...sensor, tags: { 262: 34_892 } }] }]],
    ['that says which DNG it is', [{ ...preview, tags: { 50_706: 0x01040000 } }]],
  ])('%s is refused by its name', async (_name, pages) => {
    await expect(probe(writeTiffPages(pages), limits)).rejects.toMatchObject({
      code: 'format_not_allowed',
      message: expect.stringMatching(/^This is a camera raw picture; /) as string,
    });
  });

  test('a TIFF that a program of a camera maker exported is none', async () => {
    const bytes = writeTiffPages([
      { ...picture, tags: { 271: 'NIKON CORPORATION', 272: 'NIKON D850' }, subPages: [preview] },
    ]);
    expect(await probe(bytes, limits)).toMatchObject({ format: 'tiff', width: 64, height: 48 });
  });
});
