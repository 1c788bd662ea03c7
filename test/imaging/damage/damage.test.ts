import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodePicture } from '../../../src/imaging/decoding/decode-picture.ts';
import { probe } from '../../../src/imaging/probe.ts';
import { readGif } from '../../../src/imaging/containers/gif.ts';
import { limits } from '../fixtures/pictures.ts';
import { pngChunk } from '../support/write-png.ts';
import { writeTiffPages } from '../support/write-tiff-pages.ts';

const [width, height] = [120, 90];
/** With noise, every part of a file affects the decoded pixels. */
const noise = Buffer.from(
  Uint32Array.from({ length: width * height * 3 }, (_, n) => Math.imul(n + 1, 2_654_435_761) >>> 24),
);
const noisePicture = (frames = 1) =>
  sharp(Buffer.concat(Array.from({ length: frames }, () => noise)), {
    raw: { width, height: height * frames, channels: 3, pageHeight: height },
  });

/** Decodes a picture. Returns a checksum of its pixels, or the code and message of the error. */
async function describeDecoding(bytes: Uint8Array): Promise<string> {
  try {
    const facts = await probe(bytes, limits);
    return `pixels ${crc32((await decodePicture(bytes, facts, facts)).data)}`;
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
}

const files: Record<string, Buffer> = {};
const file = (name: string) => files[name] ?? Buffer.alloc(0);

beforeAll(async () => {
  files['jpeg'] = await noisePicture().jpeg().toBuffer();
  files['progressive'] = await noisePicture().jpeg({ progressive: true }).toBuffer();
  files['mozjpeg'] = await noisePicture().jpeg({ mozjpeg: true }).toBuffer();
  files['full chroma'] = await noisePicture().jpeg({ chromaSubsampling: '4:4:4' }).toBuffer();
  files['png'] = await noisePicture().png().toBuffer();
  files['interlaced'] = await noisePicture().png({ progressive: true }).toBuffer();
  files['gif'] = await noisePicture().gif().toBuffer();
  files['animation'] = await noisePicture(3).gif({ loop: 0 }).toBuffer();
  files['webp'] = await noisePicture().webp().toBuffer();
  files['animated webp'] = await noisePicture(3).webp().toBuffer();
  files['avif'] = await noisePicture().avif().toBuffer();
  files['tiff'] = await noisePicture().tiff({ compression: 'deflate' }).toBuffer();
});

const jpegs = ['jpeg', 'progressive', 'mozjpeg', 'full chroma'];
const endOfImage = Buffer.from([0xff, 0xd9]);

describe('JPEG', () => {
  test.each(jpegs)('is decoded without its end marker, and with bytes after its end: %s', async (name) => {
    const intactResult = await describeDecoding(file(name));
    expect(intactResult).toMatch(/^pixels /);
    expect(await describeDecoding(file(name).subarray(0, -2))).toEqual(intactResult);
    expect(await describeDecoding(Buffer.concat([file(name).subarray(0, -2), Buffer.alloc(99, 5)]))).toEqual(
      intactResult,
    );
    expect(await describeDecoding(Buffer.concat([file(name), Buffer.alloc(999, 7)]))).toEqual(intactResult);
  });

  test.each(jpegs)(
    'is reported as truncated if data is missing, with or without an end marker: %s',
    async (name) => {
      const { length } = file(name);
      for (const end of [
        length - 3,
        length - 9,
        ...[0.98, 0.7, 0.5, 0.2].map((fraction) => Math.floor(length * fraction)),
      ]) {
        const truncatedFile = file(name).subarray(0, end);
        expect(await describeDecoding(truncatedFile), `${end}`).toMatch(
          /^picture_cut: The JPEG image is truncated: the file ends too early\.$/,
        );
        // With an end marker, the library does not report that the last lines are missing.
        if (end < length * 0.9)
          expect(await describeDecoding(Buffer.concat([truncatedFile, endOfImage]))).toMatch(
            /^picture_cut: /,
          );
      }
    },
  );

  test('is reported as corrupt if its declared restart markers are missing', async () => {
    const scanOffset = file('full chroma').indexOf(Buffer.from([0xff, 0xda]));
    const interval = Buffer.from([0xff, 0xdd, 0, 4, 0, 8]);
    const bytes = Buffer.concat([
      file('full chroma').subarray(0, scanOffset),
      interval,
      file('full chroma').subarray(scanOffset),
    ]);
    expect(await describeDecoding(bytes)).toBe(
      'picture_corrupt: The JPEG image is corrupt: its data contradicts itself.',
    );
  });

  test('is decoded if an unusual scan header causes a decoder warning', async () => {
    const bytes = Buffer.from(file('jpeg'));
    const scanOffset = bytes.indexOf(Buffer.from([0xff, 0xda]));
    // A sequential scan should declare 63 as its last coefficient, but some cameras write 0.
    bytes[scanOffset + 4 + 1 + 3 * 2 + 1] = 0;
    expect(await describeDecoding(bytes)).toEqual(await describeDecoding(file('jpeg')));
  });

  test('is rejected as unsupported if its compression is lossless', async () => {
    const bytes = Buffer.from(file('jpeg'));
    bytes[bytes.indexOf(Buffer.from([0xff, 0xc0])) + 1] = 0xc3;
    expect(await describeDecoding(bytes)).toBe(
      'picture_unsupported: The JPEG image cannot be decoded: lossless JPEG is not supported.',
    );
  });
});

describe('PNG', () => {
  test('is decoded without IEND, and with bytes after IEND', async () => {
    for (const name of ['png', 'interlaced']) {
      const intactResult = await describeDecoding(file(name));
      expect(intactResult).toMatch(/^pixels /);
      for (const end of [-4, -12, -14, -17])
        expect(await describeDecoding(file(name).subarray(0, end))).toEqual(intactResult);
      expect(await describeDecoding(Buffer.concat([file(name), Buffer.alloc(50)]))).toEqual(intactResult);
    }
  });

  test('is reported as truncated if pixels are missing', async () => {
    for (const end of [60, Math.floor(file('png').length / 2), file('png').length - 100]) {
      expect(await describeDecoding(file('png').subarray(0, end))).toBe(
        'picture_cut: The PNG image is truncated: the file ends too early.',
      );
    }
  });

  test.each(['IHDR', 'IDAT'])('is reported as corrupt if the checksum of %s is wrong', async (chunk) => {
    const bytes = Buffer.from(file('png'));
    const typeOffset = bytes.indexOf(chunk);
    const end = typeOffset + 4 + bytes.readUInt32BE(typeOffset - 4);
    bytes[end] = (bytes[end] ?? 0) ^ 1;
    expect(await describeDecoding(bytes)).toBe(
      `picture_corrupt: The PNG image is corrupt: the checksum of its ${chunk} chunk does not match.`,
    );
  });

  test('is decoded if the checksum of an ancillary chunk is wrong', async () => {
    const textChunk = pngChunk('tEXt', Buffer.from('Title\0Vase', 'latin1'));
    textChunk[textChunk.length - 1] = (textChunk.at(-1) ?? 0) ^ 1;
    const bytes = Buffer.concat([file('png').subarray(0, 33), textChunk, file('png').subarray(33)]);
    expect(await describeDecoding(bytes)).toEqual(await describeDecoding(file('png')));
  });
});

describe('GIF', () => {
  test('is decoded without a trailer, and with other bytes in its place', async () => {
    for (const name of ['gif', 'animation']) {
      const intactResult = await describeDecoding(file(name));
      expect(intactResult).toMatch(/^pixels /);
      const withoutTrailer = file(name).subarray(0, -1);
      for (const tail of [Buffer.alloc(0), Buffer.alloc(40, 3)])
        expect(await describeDecoding(Buffer.concat([withoutTrailer, tail]))).toEqual(intactResult);
    }
    // The terminating block after the pixels may also be missing.
    expect(await describeDecoding(file('gif').subarray(0, -2))).toEqual(await describeDecoding(file('gif')));
  });

  test('is reported as truncated if it ends inside any frame', async () => {
    for (const name of ['gif', 'animation']) {
      for (const end of [400, Math.floor(file(name).length / 2), file(name).length - 60]) {
        expect(await describeDecoding(file(name).subarray(0, end)), `${name} ${end}`).toMatch(
          /^picture_cut: The GIF image is truncated: /,
        );
      }
    }
  });

  test('is reported as corrupt if its compressed data is damaged', async () => {
    const bytes = Buffer.from(file('gif'));
    const dataStart = readGif(bytes)?.firstFrame?.dataStart ?? 0;
    bytes.fill(0xff, dataStart + 60, dataStart + 160);
    expect(await describeDecoding(bytes)).toMatch(
      /^picture_corrupt: The GIF image is corrupt: its compressed pixels are damaged\.$/,
    );
  });
});

describe('WebP', () => {
  test.each([-2, -1, 1, 2, 5000])('is decoded if its declared length is wrong by %i', async (error) => {
    const bytes = Buffer.from(file('webp'));
    bytes.writeUInt32LE(bytes.readUInt32LE(4) + error, 4);
    expect(await describeDecoding(bytes)).toEqual(await describeDecoding(file('webp')));
  });

  test('is decoded with bytes after its end', async () => {
    expect(await describeDecoding(Buffer.concat([file('webp'), Buffer.alloc(77, 1)]))).toEqual(
      await describeDecoding(file('webp')),
    );
  });

  test('is reported as truncated if it ends inside its pixels', async () => {
    for (const name of ['webp', 'animated webp']) {
      const truncatedFile = file(name).subarray(0, Math.floor(file(name).length * 0.9));
      expect(await describeDecoding(truncatedFile)).toBe(
        'picture_cut: The WebP image is truncated: the file ends too early.',
      );
    }
  });
});

test('AVIF is reported as truncated if picture data is missing at the end', async () => {
  expect(await describeDecoding(file('avif'))).toMatch(/^pixels /);
  expect(await describeDecoding(file('avif').subarray(0, -40))).toBe(
    'picture_cut: The AVIF image is truncated: the file ends too early.',
  );
});

describe('TIFF', () => {
  const page = { width: 40, height: 30, colour: [1, 2, 3] } as const;

  test('is reported as truncated if it ends before its directory, inside its directory or inside its pixels', async () => {
    const bytes = writeTiffPages([page]);
    expect(await describeDecoding(bytes.subarray(0, 2000))).toContain(
      'picture_cut: The TIFF image is truncated: the file ends before its directory.',
    );
    expect(await describeDecoding(bytes.subarray(0, -30))).toContain(
      'picture_cut: The TIFF image is truncated: the file ends inside its directory.',
    );
    const fileWithDistantStrip = writeTiffPages([{ ...page, tags: { 273: 2000 } }]);
    expect(await describeDecoding(fileWithDistantStrip)).toContain(
      'picture_cut: The TIFF image is truncated: the file ends before its last pixels.',
    );
  });

  test.each([
    [6, 'old-style JPEG (6)'],
    [33_003, 'JPEG 2000 (33003)'],
    [34_887, 'LERC (34887)'],
    [50_000, 'Zstandard (50000)'],
    [12_345, 'number 12345'],
  ])('is rejected for compression %i before its pixels are decoded', async (compression, name) => {
    const bytes = writeTiffPages([{ ...page, tags: { 259: compression } }]);
    await expect(probe(bytes, limits)).rejects.toMatchObject({
      code: 'picture_unsupported',
      message: `The TIFF image cannot be decoded: its compression, ${name}, is not supported.`,
    });
  });

  test('is reported as corrupt if its pixels are damaged', async () => {
    const bytes = Buffer.from(file('tiff'));
    bytes.fill(0xa5, bytes.length >> 1, (bytes.length >> 1) + 200);
    expect(await describeDecoding(bytes)).toBe(
      'picture_corrupt: The TIFF image is corrupt: its pixels cannot be decoded.',
    );
  });
});

test("does not expose the image library's own messages", async () => {
  for (const bytes of Object.values(files)) {
    for (const fraction of [0.05, 0.3, 0.6, 0.9]) {
      const damagedFile = Buffer.from(bytes);
      damagedFile.fill(0xa5, Math.floor(bytes.length * fraction), Math.floor(bytes.length * fraction) + 60);
      const result = await describeDecoding(damagedFile);
      expect(result).toMatch(
        /^(pixels \d+$|(picture_(cut|corrupt|unsupported|unreadable|too_large)|format_not_allowed|not_a_picture): )/,
      );
      expect(result).not.toMatch(/vips|Unknown error|heif|tiff2|libpng|source:/i);
    }
  }
});
