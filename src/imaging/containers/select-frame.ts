import { AppError } from '../../errors.ts';
import type { PictureFormat } from '../../model/picture.ts';
import { extractFirstGifFrame, readGif } from './gif.ts';
import { type IsobmffStructure, readIsobmff, readIspeSize } from './isobmff.ts';
import { readPngChunks, readPng } from './png.ts';
import { readTiff } from './tiff.ts';
import { readWebp, extractFirstWebpFrame } from './webp.ts';
import { diagnoseGif } from '../damage/explain-failure.ts';
import { checkCompression } from '../damage/tiff.ts';
import { verdictError } from '../damage/verdict.ts';
import type { Size } from '../geometry.ts';
import { selectTiffPage } from './tiff-pages.ts';

/** The frame to decode. It is determined from the container before a decoder receives the file. */
export interface SelectedFrame {
  /** Number of frames or pages in the file. */
  readonly frames: number;
  /** Declared size, before applying the orientation; `undefined` if only the image library can read it. */
  readonly size: Size | undefined;
  /** The input for the image library: the file, or a copy with only this frame. */
  readonly bytes: Uint8Array;
  /** Position of the frame in `bytes`, as options for the image library. */
  readonly position: { readonly page?: number; readonly tiff?: { readonly subifd: number } };
}

/**
 * Counts the frames of a file and selects the frame to decode, in one pass over the container. For an animation,
 * the library receives only the first frame. Otherwise, it would read all frames to count them, which takes quadratic
 * time in some formats.
 * @throws AppError `picture_unsupported` or `picture_cut` if no frame can be decoded.
 */
export function selectFrame(bytes: Uint8Array, format: PictureFormat): SelectedFrame {
  return selectors[format]?.(bytes) ?? { frames: 1, size: undefined, bytes, position: {} };
}

/** Selectors return `undefined` for an invalid container. The library then rejects the file with its own error. */
const selectors: Partial<Record<PictureFormat, (bytes: Uint8Array) => SelectedFrame | undefined>> = {
  png: selectPngFrame,
  gif: selectGifFrame,
  webp: selectWebpFrame,
  avif: selectAvifFrame,
  heic: selectHeicFrame,
  tiff: selectTiffFrame,
};

function selectPngFrame(bytes: Uint8Array): SelectedFrame | undefined {
  const png = readPng(bytes);
  if (png === undefined) return undefined;
  const { width, height } = png.header;
  const frames = png.animationFrames === undefined ? 1 : countPngFrames(bytes);
  return { frames, size: { width, height }, bytes, position: {} };
}

/** Counts the frames in the file. The animation header may declare a different number. */
function countPngFrames(bytes: Uint8Array): number {
  let frames = 0;
  for (const { type } of readPngChunks(bytes)) if (type === 'fcTL') frames++;
  return Math.max(1, frames);
}

function selectGifFrame(bytes: Uint8Array): SelectedFrame | undefined {
  const gif = readGif(bytes);
  if (gif?.firstFrame === undefined) return undefined;
  const { frames, firstFrame, lastFrame, hasTrailer } = gif;
  const size = {
    width: Math.max(gif.width, firstFrame.width),
    height: Math.max(gif.height, firstFrame.height),
  };
  if (lastFrame?.isComplete === false) {
    // The library would return the first frame even if the file is truncated in a later frame.
    const diagnosis = diagnoseGif(bytes);
    if (diagnosis !== 'complete') throw verdictError(diagnosis, 'gif');
  }
  const isUsableAsIs = (frames === 1 && hasTrailer) || !firstFrame.isComplete;
  return {
    frames,
    size,
    bytes: isUsableAsIs ? bytes : extractFirstGifFrame(bytes, firstFrame),
    position: {},
  };
}

function selectWebpFrame(bytes: Uint8Array): SelectedFrame | undefined {
  const webp = readWebp(bytes);
  if (webp?.size === undefined) return undefined;
  const { frames, size, isAnimated, isWellFormed, hasAllPixels } = webp;
  const isUsableAsIs = (!isAnimated && isWellFormed) || !hasAllPixels;
  return { frames, size, bytes: isUsableAsIs ? bytes : extractFirstWebpFrame(bytes, webp), position: {} };
}

function selectTiffFrame(bytes: Uint8Array): SelectedFrame | undefined {
  const file = readTiff(bytes);
  if (file === undefined) return undefined;
  const { directory, size, pageIndex, subDirectoryIndex } = selectTiffPage(file);
  const verdict = checkCompression(file, directory);
  if (verdict !== undefined) throw verdictError(verdict, 'tiff');
  const position = {
    ...(pageIndex > 0 && { page: pageIndex }),
    ...(subDirectoryIndex !== undefined && { tiff: { subifd: subDirectoryIndex } }),
  };
  return { frames: file.directories.length, size, bytes, position };
}

function selectAvifFrame(bytes: Uint8Array): SelectedFrame | undefined {
  const file = readIsobmff(bytes);
  if (file === undefined) return undefined;
  const item = file.items.get(file.primaryItemId ?? -1);
  if (item === undefined && file.hasMovie) {
    throw new AppError(
      'picture_unsupported',
      'This AVIF is an animation (an image sequence) without a still image; save one frame as a separate image.',
    );
  }
  const [size] = (item?.properties ?? []).flatMap((property) => readIspeSize(bytes, property) ?? []);
  return { frames: 1, size, bytes: toStillAvif(bytes, file), position: {} };
}

/** The library ignores bursts and videos in the file, and finds the primary item itself. */
function selectHeicFrame(bytes: Uint8Array): SelectedFrame | undefined {
  const file = readIsobmff(bytes);
  const item = file?.items.get(file.primaryItemId ?? -1);
  if (item === undefined) return undefined;
  const [size] = item.properties.flatMap((property) => readIspeSize(bytes, property) ?? []);
  return { frames: 1, size, bytes, position: {} };
}

/**
 * Returns a file that the library can open. The library accepts only some major brands, and rejects files that contain
 * a movie. The brands and the movie's box type are therefore replaced in a copy. No offset changes, because brands and
 * box types are always four bytes long.
 */
function toStillAvif(bytes: Uint8Array, { brands, boxes, hasMovie }: IsobmffStructure): Uint8Array {
  if (brands[0] === 'avif' && !brands.includes('avis') && !hasMovie) return bytes;
  const copy = Buffer.from(bytes);
  const [fileType] = boxes;
  if (fileType !== undefined) {
    copy.write('avif', fileType.start, 'latin1');
    for (let offset = fileType.start + 8; offset + 4 <= fileType.end; offset += 4) {
      if (['avis', 'msf1'].includes(copy.toString('latin1', offset, offset + 4)))
        copy.write('avif', offset, 'latin1');
    }
  }
  for (const { type, start } of boxes) {
    if (type !== 'moov') continue;
    // A 64-bit length is stored between the type of a box and its content.
    const isLarge = copy.toString('latin1', start - 4, start) !== 'moov';
    copy.write('free', start - (isLarge ? 12 : 4), 'latin1');
  }
  return copy;
}
