import { describe, expect, test } from 'vitest';
import { selectFrame } from '../../../src/imaging/containers/select-frame.ts';
import { interpret } from '../../../src/imaging/decoding/interpretation.ts';
import { assertFormatsAreReadable } from '../../../src/imaging/formats/heic-support.ts';
import { sniffFormat } from '../../../src/imaging/formats/identify-format.ts';
import { probe } from '../../../src/imaging/probe.ts';
import { pictureFormats } from '../../../src/model/picture.ts';
import { gradientPicture } from '../fixtures/pictures.ts';

const withoutHeic = pictureFormats.filter((format) => format !== 'heic');
const advice =
  /^This is an HEIC image; Vitrine accepts JPEG, .* Convert the image to JPEG, .*Most Compatible/;

/** An AVIF whose container says that its picture is compressed with HEVC. No decoder reads it, but the containers are alike. */
async function makeHeic(width = 64, height = 48): Promise<Buffer> {
  const bytes = await gradientPicture(width, height).avif().toBuffer();
  for (let offset = 8; offset < bytes.readUInt32BE(0); offset += 4)
    if (offset !== 12) bytes.write(offset === 8 ? 'heic' : 'mif1', offset, 'latin1');
  bytes.write('hvc1', bytes.indexOf('av01'), 'latin1');
  return bytes;
}

describe('an HEIC image', () => {
  test('is rejected with a reason and advice unless it is allowed', async () => {
    const bytes = await makeHeic();
    await expect(sniffFormat(bytes, withoutHeic)).rejects.toMatchObject({
      code: 'format_not_allowed',
      message: expect.stringMatching(advice) as string,
    });
    expect(await sniffFormat(bytes, pictureFormats)).toEqual({ format: 'heic' });
  });

  test('is recognised in the whole file if the start of the file looks like AVIF', async () => {
    const bytes = await makeHeic();
    const limits = { maxPixels: 1e6, maxAvifPixels: 1e6, maxFrames: 1, allowedFormats: withoutHeic };
    await expect(probe(bytes, limits)).rejects.toMatchObject({
      message: expect.stringMatching(advice) as string,
    });
  });

  test('declares its size and colours in the same way as AVIF', async () => {
    const bytes = await makeHeic(70, 50);
    expect(selectFrame(bytes, 'heic')).toMatchObject({ frames: 1, size: { width: 70, height: 50 } });
    expect(interpret(bytes, 'heic')).toEqual({ kind: 'library' });
  });

  test('must have its declared size checked before a library receives it', async () => {
    const limits = { maxPixels: 1_000, maxAvifPixels: 1e6, maxFrames: 1, allowedFormats: pictureFormats };
    await expect(probe(await makeHeic(), limits)).rejects.toMatchObject({ code: 'picture_too_large' });
  });

  test('that the library cannot read has an error of its own', async () => {
    const limits = { maxPixels: 1e6, maxAvifPixels: 1e6, maxFrames: 1, allowedFormats: pictureFormats };
    await expect(probe(await makeHeic(), limits)).rejects.toMatchObject({
      code: expect.stringMatching(/^picture_/) as string,
      message: expect.stringMatching(/^The HEIC image /) as string,
    });
  });
});

describe('at startup', () => {
  test('the prebuilt library is not enough for HEIC', async () => {
    await expect(assertFormatsAreReadable(withoutHeic)).resolves.toBeUndefined();
    await expect(assertFormatsAreReadable(pictureFormats)).rejects.toThrow(
      /^ALLOWED_EXTENSIONS contains heic, but .* cannot read HEIC\. .*docs\/heic\.md/,
    );
  });
});
