import { AppError } from '../../errors.ts';
import type { PictureFormat } from '../../model/picture.ts';
import { gifOfFirstFrame, readGif } from './gif.ts';
import { type IsobmffStructure, readIsobmff, sizeOfIspe } from './isobmff.ts';
import { pngChunks, readPng } from './png.ts';
import { readTiff } from './tiff.ts';
import { readWebp, webpOfFirstFrame } from './webp.ts';
import { findInGif } from '../damage/explain-failure.ts';
import { unsupportedCompression } from '../damage/tiff.ts';
import { verdictError } from '../damage/verdict.ts';
import type { Size } from '../geometry.ts';
import { usedTiffPage } from './tiff-pages.ts';

/** The frame of a file that becomes the picture, determined from the container before a decoder receives the file. */
export interface UsedFrame {
  /** Number of frames or pages in the file. */
  readonly frames: number;
  /** Size declared by the container, before orientation; `undefined` if only the image library can read it. */
  readonly size: Size | undefined;
  /** The input for the image library: the file, or a copy with only this frame. */
  readonly bytes: Uint8Array;
  /** Position of the frame in `bytes`, as options of the image library. */
  readonly position: { readonly page?: number; readonly tiff?: { readonly subifd: number } };
}

/**
 * Counts the frames of a picture and finds the one that is used, in one pass over the container. The library receives
 * only the first frame of an animation: it would read all frames before reporting their number, in some formats in
 * quadratic time.
 * @throws AppError `picture_unsupported` or `picture_cut` if no frame can be used.
 */
export function findUsedFrame(bytes: Uint8Array, format: PictureFormat): UsedFrame {
  return finders[format]?.(bytes) ?? { frames: 1, size: undefined, bytes, position: {} };
}

/** Return `undefined` for an invalid container: the library receives the file unchanged, and its error is explained. */
const finders: Partial<Record<PictureFormat, (bytes: Uint8Array) => UsedFrame | undefined>> = {
  png: frameOfPng,
  gif: frameOfGif,
  webp: frameOfWebp,
  avif: frameOfAvif,
  tiff: frameOfTiff,
};

function frameOfPng(bytes: Uint8Array): UsedFrame | undefined {
  const png = readPng(bytes);
  if (png === undefined) return undefined;
  const { width, height } = png.header;
  const frames = png.animationFrames === undefined ? 1 : countPngFrames(bytes);
  return { frames, size: { width, height }, bytes, position: {} };
}

/** Counts the frames in the file, not those that the header of the animation declares. */
function countPngFrames(bytes: Uint8Array): number {
  let frames = 0;
  for (const { type } of pngChunks(bytes)) if (type === 'fcTL') frames++;
  return Math.max(1, frames);
}

function frameOfGif(bytes: Uint8Array): UsedFrame | undefined {
  const gif = readGif(bytes);
  if (gif?.first === undefined) return undefined;
  const { frames, first, last, hasTrailer } = gif;
  const size = { width: Math.max(gif.width, first.width), height: Math.max(gif.height, first.height) };
  if (last?.isWhole === false) {
    // The library would return the first frame even if the file is truncated in a later one.
    const finding = findInGif(bytes);
    if (finding !== 'complete') throw verdictError(finding, 'gif');
  }
  const isPlain = (frames === 1 && hasTrailer) || !first.isWhole;
  return { frames, size, bytes: isPlain ? bytes : gifOfFirstFrame(bytes, first), position: {} };
}

function frameOfWebp(bytes: Uint8Array): UsedFrame | undefined {
  const webp = readWebp(bytes);
  if (webp?.size === undefined) return undefined;
  const { frames, size, isAnimated, isTidy, hasAllPixels } = webp;
  const isPlain = (!isAnimated && isTidy) || !hasAllPixels;
  return { frames, size, bytes: isPlain ? bytes : webpOfFirstFrame(bytes, webp), position: {} };
}

function frameOfTiff(bytes: Uint8Array): UsedFrame | undefined {
  const file = readTiff(bytes);
  if (file === undefined) return undefined;
  const { directory, size, page, subDirectory } = usedTiffPage(file);
  const verdict = unsupportedCompression(file, directory);
  if (verdict !== undefined) throw verdictError(verdict, 'tiff');
  const position = {
    ...(page > 0 && { page }),
    ...(subDirectory !== undefined && { tiff: { subifd: subDirectory } }),
  };
  return { frames: file.directories.length, size, bytes, position };
}

function frameOfAvif(bytes: Uint8Array): UsedFrame | undefined {
  const file = readIsobmff(bytes);
  if (file === undefined) return undefined;
  const item = file.items.get(file.primaryItem ?? -1);
  if (item === undefined && file.hasMovie) {
    throw new AppError(
      'picture_unsupported',
      'This AVIF is an animation (an image sequence) without a still picture; save one frame as a separate picture.',
    );
  }
  const [size] = (item?.properties ?? []).flatMap((property) => sizeOfIspe(bytes, property) ?? []);
  return { frames: 1, size, bytes: asStillAvif(bytes, file), position: {} };
}

/**
 * Returns a file that the library opens: it accepts only some major brands, and fails if there is a movie besides the
 * still picture. Both are four-byte names, so replacing them in a copy changes no offset.
 */
function asStillAvif(bytes: Uint8Array, { brands, boxes, hasMovie }: IsobmffStructure): Uint8Array {
  if (brands[0] === 'avif' && !brands.includes('avis') && !hasMovie) return bytes;
  const copy = Buffer.from(bytes);
  const [fileType] = boxes;
  if (fileType !== undefined) {
    copy.write('avif', fileType.start, 'latin1');
    for (let at = fileType.start + 8; at + 4 <= fileType.end; at += 4) {
      if (['avis', 'msf1'].includes(copy.toString('latin1', at, at + 4))) copy.write('avif', at, 'latin1');
    }
  }
  for (const { type, start } of boxes) {
    if (type !== 'moov') continue;
    // A 64-bit length is stored between the name of a box and its content.
    const isLarge = copy.toString('latin1', start - 4, start) !== 'moov';
    copy.write('free', start - (isLarge ? 12 : 4), 'latin1');
  }
  return copy;
}
