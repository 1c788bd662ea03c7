import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { readBoxes, readNclx, readIsobmff, readIspeSize } from '../../../src/imaging/containers/isobmff.ts';
import { readPngChunks, readPng } from '../../../src/imaging/containers/png.ts';
import {
  readTiff,
  readTiffBytes,
  readTiffNumber,
  readTiffNumbers,
  readTiffSubDirectories,
  tiffTags,
} from '../../../src/imaging/containers/tiff.ts';
import { iccChunk, uint32, writePng } from '../support/write-png.ts';
import { writeTiff } from '../support/write-tiff.ts';

const profile = Buffer.from('a profile');

const png = writePng({
  width: 2,
  height: 1,
  depth: 16,
  colorType: 4,
  samples: [1, 2, 3, 4],
  chunks: [
    ['iCCP', iccChunk(profile)],
    ['gAMA', uint32(45_455)],
    ['cHRM', uint32(31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000)],
    ['cICP', Buffer.of(12, 13, 0, 1)],
    ['sRGB', Buffer.of(0)],
    ['tRNS', Buffer.of(0, 1)],
    ['acTL', uint32(7, 0)],
  ],
});

describe('readPng', () => {
  it('parses a PNG up to its pixels', () => {
    expect(readPng(png)).toMatchObject({
      header: { width: 2, height: 1, bitDepth: 16, colorType: 4, isInterlaced: false },
      hasPixels: true,
      hasTransparency: true,
      animationFrames: 7,
      iccProfile: profile,
      isSrgb: true,
      gamma: 0.45455,
      cicp: { primaries: 12, transfer: 13, matrix: 0, isFullRange: true },
      chromaticities: { white: [0.3127, 0.329], green: [0.21, 0.71] },
    });
  });

  it('marks the last chunk of a truncated file as incomplete', () => {
    const chunks = [...readPngChunks(png.subarray(0, -14))];
    expect(chunks.at(-1)).toMatchObject({ type: 'IDAT', isComplete: false });
  });

  it('limits the decompressed size of a profile', () => {
    const pngWithLargeProfile = writePng({
      width: 1,
      height: 1,
      depth: 8,
      colorType: 0,
      samples: [0],
      chunks: [['iCCP', iccChunk(Buffer.alloc(64 * 1024 * 1024))]],
    });
    expect(readPng(pngWithLargeProfile)?.iccProfile).toBeUndefined();
  });
});

describe('readTiff', () => {
  for (const order of ['little', 'big'] as const) {
    for (const isBig of [false, true]) {
      it(`parses a TIFF in ${order}-endian order${isBig ? ' with 64-bit offsets' : ''}`, () => {
        const file = writeTiff({
          width: 3,
          height: 2,
          depth: 8,
          channels: 5,
          photometric: 2,
          samples: Array.from({ length: 30 }, (_, n) => n),
          order,
          isBig,
          tags: [
            [tiffTags.make, 2, Buffer.from('Camera maker\0')],
            [tiffTags.extraSamples, 3, [2, 0]],
            [tiffTags.iccProfile, 7, profile],
          ],
        });
        const structure = readTiff(file);
        const [firstDirectory] = structure?.directories ?? [];
        if (structure === undefined || firstDirectory === undefined)
          throw new Error('The TIFF was not parsed.');
        expect(structure).toMatchObject({ isLittleEndian: order === 'little', isBig, isChainComplete: true });
        expect(readTiffNumber(structure, firstDirectory, tiffTags.imageWidth)).toBe(3);
        expect(readTiffNumbers(structure, firstDirectory, tiffTags.bitsPerSample)).toEqual([8, 8, 8, 8, 8]);
        expect(readTiffNumbers(structure, firstDirectory, tiffTags.extraSamples)).toEqual([2, 0]);
        expect(Buffer.from(readTiffBytes(structure, firstDirectory, tiffTags.iccProfile) ?? [])).toEqual(
          profile,
        );
        const stripOffset = readTiffNumber(structure, firstDirectory, tiffTags.stripOffsets) ?? 0;
        expect([...file.subarray(stripOffset, stripOffset + 5)]).toEqual([0, 1, 2, 3, 4]);
      });
    }
  }

  it('stops if the directory chain loops or points outside the file', () => {
    const file = writeTiff({ width: 1, height: 1, depth: 8, channels: 1, photometric: 1, samples: [1] });
    const firstOffset = file.readUInt32LE(4);
    const nextPointerOffset = firstOffset + 2 + 12 * file.readUInt16LE(firstOffset);
    file.writeUInt32LE(firstOffset, nextPointerOffset);
    expect(readTiff(file)).toMatchObject({ directories: [{ offset: firstOffset }], isChainComplete: false });
    file.writeUInt32LE(0xfffffff0, nextPointerOffset);
    expect(readTiff(file)).toMatchObject({ directories: [{ offset: firstOffset }], isChainComplete: false });
  });

  it('limits the number of entries in overlapping directories', () => {
    // Each pair of bytes is the entry count of one directory and part of the entries of earlier directories.
    const file = Buffer.alloc(2_000_000, 8);
    file.write('II*\0');
    const structure = readTiff(file);
    const entries = structure?.directories.reduce((sum, directory) => sum + directory.entries.size, 0) ?? 0;
    expect(entries).toBeLessThan(140_000);
  });

  it('parses sub-directories', () => {
    const inner = writeTiff({ width: 9, height: 9, depth: 8, channels: 1, photometric: 1, samples: [] });
    const innerOffset = inner.readUInt32LE(4);
    const outer = Buffer.concat([inner, Buffer.alloc(40)]);
    outer.writeUInt32LE(inner.length, 4);
    outer.writeUInt16LE(1, inner.length);
    outer.writeUInt16LE(tiffTags.subDirectories, inner.length + 2);
    outer.writeUInt16LE(13, inner.length + 4);
    outer.writeUInt32LE(1, inner.length + 6);
    outer.writeUInt32LE(innerOffset, inner.length + 10);
    const structure = readTiff(outer);
    if (structure === undefined) throw new Error('The TIFF was not parsed.');
    const [subDirectory] = readTiffSubDirectories(structure, structure.directories[0]);
    expect(subDirectory && readTiffNumber(structure, subDirectory, tiffTags.imageWidth)).toBe(9);
  });
});

let avif: Buffer;
beforeAll(async () => {
  const pixels = {
    width: 16,
    height: 8,
    channels: 4,
    background: { r: 255, g: 0, b: 0, alpha: 0.5 },
  } as const;
  avif = await sharp({ create: pixels }).avif().toBuffer();
});

describe('readIsobmff', () => {
  it('parses an AVIF into boxes and items', () => {
    const structure = readIsobmff(avif);
    const primary = structure?.items.get(structure.primaryItemId ?? -1);
    const properties = primary?.properties ?? [];
    expect(structure).toMatchObject({ majorBrand: 'avif', hasMovie: false });
    expect(structure?.boxes.map(({ type }) => type)).toContain('mdat');
    expect(structure?.references).toContainEqual(
      expect.objectContaining({ type: 'auxl', to: [primary?.id] }),
    );
    expect(properties.map((box) => readIspeSize(avif, box)).find(Boolean)).toEqual({ width: 16, height: 8 });
  });

  it('parses the colour code points in a colr box', () => {
    const colr = Buffer.concat([uint32(19), Buffer.from('colrnclx'), Buffer.of(0, 12, 0, 13, 0, 6, 0x80)]);
    const [box] = readBoxes(colr, 0, colr.length);
    expect(box && readNclx(colr, box)).toEqual({ primaries: 12, transfer: 13, matrix: 6, isFullRange: true });
  });

  it('parses boxes with 64-bit sizes and boxes that extend to the end of the file', () => {
    const boxes = Buffer.concat([
      uint32(1),
      Buffer.from('free'),
      uint32(0, 20, 7),
      Buffer.from([0, 0, 0, 0]),
      Buffer.from('mdat'),
    ]);
    expect(readBoxes(boxes, 0, boxes.length)).toEqual([
      { type: 'free', start: 16, end: 20, isComplete: true },
      { type: 'mdat', start: 28, end: 28, isComplete: true },
    ]);
  });
});

describe('every parser', () => {
  it.each(['png', 'tiff', 'avif'] as const)('throws no error for a corrupted %s file', (kind) => {
    const tiff = writeTiff({
      width: 1,
      height: 1,
      depth: 8,
      channels: 1,
      photometric: 1,
      samples: [1],
      isBig: true,
    });
    const file = { png, tiff, avif }[kind];
    let seed = 7;
    const randomInteger = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (let round = 0; round < 2000; round++) {
      const corruptedFile = Buffer.from(
        file.subarray(0, randomInteger(2) === 0 ? file.length : randomInteger(file.length + 1)),
      );
      for (let n = randomInteger(6); n >= 0; n--)
        corruptedFile[randomInteger(corruptedFile.length + 1)] =
          randomInteger(3) === 0 ? 255 : randomInteger(256);
      readPng(corruptedFile);
      const structure = readTiff(corruptedFile);
      for (const directory of structure?.directories ?? []) {
        for (const tag of directory.entries.keys()) {
          if (structure !== undefined) {
            readTiffNumbers(structure, directory, tag);
            readTiffSubDirectories(structure, directory, tag);
          }
        }
      }
      readIsobmff(corruptedFile);
    }
  });
});
