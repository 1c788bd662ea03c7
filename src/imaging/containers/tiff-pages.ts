import { AppError } from '../../errors.ts';
import { type TiffDirectory, tiffNumber, type TiffStructure, tiffSubDirectories, tiffTags } from './tiff.ts';
import type { Size } from '../geometry.ts';

/** The page of a TIFF that becomes the picture. */
export interface TiffPage {
  readonly directory: TiffDirectory;
  /** Its index in the chain of directories. */
  readonly page: number;
  /** Its index among the sub-directories of that page, if it is one of them. */
  readonly subDirectory: number | undefined;
  readonly size: Size | undefined;
}

/** Tag 255, which older writers use instead of 254. 2 means a reduced copy. */
const oldSubfileType = 255;

/**
 * Returns the first page that is marked neither as a reduced copy nor as a mask, or a larger picture in its
 * sub-directories. If all pages are marked, returns the first one.
 * @throws AppError `picture_unsupported` if only a preview of the picture is accessible.
 */
export function usedTiffPage(file: TiffStructure): TiffPage {
  const [first] = file.directories;
  const fullPage = file.directories.findIndex((directory) => isFullPicture(file, directory));
  const page = Math.max(0, fullPage);
  const directory = file.directories[page] ?? first;
  const larger = largestSubDirectory(file, directory);
  const size = sizeOf(file, directory);
  if (larger !== undefined) return { ...larger, page };
  if (fullPage < 0 && directory.entries.has(tiffTags.subDirectories)) throw onlyPreview(size);
  return { directory, page, subDirectory: undefined, size };
}

function onlyPreview(size: Size | undefined): AppError {
  const what = size === undefined ? 'a preview' : `a preview of ${size.width} × ${size.height} pixels`;
  return new AppError(
    'picture_unsupported',
    `This TIFF contains only ${what}, not the picture itself; export it as a plain TIFF, PNG or JPEG.`,
  );
}

function isFullPicture(file: TiffStructure, directory: TiffDirectory): boolean {
  // Bit 0: a reduced copy of another picture. Bit 2: a mask.
  const kind = tiffNumber(file, directory, tiffTags.newSubfileType) ?? 0;
  const oldKind = tiffNumber(file, directory, oldSubfileType) ?? 1;
  return (kind & 0b101) === 0 && oldKind !== 2;
}

/**
 * Sub-directories contain smaller copies in a pyramid. Cameras and some editors store the full picture there; the page
 * is then a preview.
 */
function largestSubDirectory(file: TiffStructure, page: TiffDirectory): Omit<TiffPage, 'page'> | undefined {
  let largest: Omit<TiffPage, 'page'> | undefined;
  let pixels = pixelsOf(sizeOf(file, page));
  for (const [subDirectory, directory] of tiffSubDirectories(file, page).entries()) {
    const size = sizeOf(file, directory);
    if (!isFullPicture(file, directory) || pixelsOf(size) <= pixels) continue;
    largest = { directory, subDirectory, size };
    pixels = pixelsOf(size);
  }
  return largest;
}

function pixelsOf(size: Size | undefined): number {
  return size === undefined ? 0 : size.width * size.height;
}

function sizeOf(file: TiffStructure, directory: TiffDirectory): Size | undefined {
  const width = tiffNumber(file, directory, tiffTags.imageWidth);
  const height = tiffNumber(file, directory, tiffTags.imageLength);
  return width === undefined || height === undefined ? undefined : { width, height };
}
