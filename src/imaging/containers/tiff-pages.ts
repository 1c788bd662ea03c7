import { AppError } from '../../errors.ts';
import {
  type TiffDirectory,
  readTiffNumber,
  type TiffStructure,
  readTiffSubDirectories,
  tiffTags,
} from './tiff.ts';
import type { Size } from '../geometry.ts';

/** The page of a TIFF to decode. */
export interface TiffPage {
  readonly directory: TiffDirectory;
  /** Index of the page in the chain of directories. */
  readonly pageIndex: number;
  /** Index of the directory among the page's sub-directories; `undefined` if `directory` is the page itself. */
  readonly subDirectoryIndex: number | undefined;
  readonly size: Size | undefined;
}

/** Tag 255, which older writers use instead of 254. Its value 2 means a reduced copy. */
const oldSubfileTypeTag = 255;

/**
 * Selects the first page that is marked neither as a reduced copy nor as a mask. If there is none, selects the first
 * page. If one of the page's sub-directories contains a larger picture, selects that sub-directory instead.
 * @throws AppError `picture_unsupported` if only a preview of the picture is accessible.
 */
export function selectTiffPage(file: TiffStructure): TiffPage {
  const [first] = file.directories;
  const fullPageIndex = file.directories.findIndex((directory) => isFullPicture(file, directory));
  const pageIndex = Math.max(0, fullPageIndex);
  const directory = file.directories[pageIndex] ?? first;
  const largerPicture = findLargestSubDirectory(file, directory);
  const size = readSize(file, directory);
  if (largerPicture !== undefined) return { ...largerPicture, pageIndex };
  if (fullPageIndex < 0 && directory.entries.has(tiffTags.subDirectories)) throw previewOnlyError(size);
  return { directory, pageIndex, subDirectoryIndex: undefined, size };
}

function previewOnlyError(size: Size | undefined): AppError {
  const content = size === undefined ? 'a preview' : `a preview of ${size.width} × ${size.height} pixels`;
  return new AppError(
    'picture_unsupported',
    `This TIFF contains only ${content}, not the full image; export it as an ordinary TIFF, PNG or JPEG.`,
  );
}

function isFullPicture(file: TiffStructure, directory: TiffDirectory): boolean {
  // Bit 0: a reduced copy of another picture. Bit 2: a mask.
  const kind = readTiffNumber(file, directory, tiffTags.newSubfileType) ?? 0;
  const oldKind = readTiffNumber(file, directory, oldSubfileTypeTag) ?? 1;
  return (kind & 0b101) === 0 && oldKind !== 2;
}

/**
 * Returns the largest sub-directory whose picture is larger than the page. In a pyramid, all sub-directories contain
 * smaller copies. Cameras and some editors, however, store the full picture in a sub-directory and a preview in the
 * page.
 */
function findLargestSubDirectory(
  file: TiffStructure,
  page: TiffDirectory,
): Omit<TiffPage, 'pageIndex'> | undefined {
  let largest: Omit<TiffPage, 'pageIndex'> | undefined;
  let largestPixelCount = countPixels(readSize(file, page));
  for (const [subDirectoryIndex, directory] of readTiffSubDirectories(file, page).entries()) {
    const size = readSize(file, directory);
    if (!isFullPicture(file, directory) || countPixels(size) <= largestPixelCount) continue;
    largest = { directory, subDirectoryIndex, size };
    largestPixelCount = countPixels(size);
  }
  return largest;
}

function countPixels(size: Size | undefined): number {
  return size === undefined ? 0 : size.width * size.height;
}

function readSize(file: TiffStructure, directory: TiffDirectory): Size | undefined {
  const width = readTiffNumber(file, directory, tiffTags.imageWidth);
  const height = readTiffNumber(file, directory, tiffTags.imageLength);
  return width === undefined || height === undefined ? undefined : { width, height };
}
