import { AppError } from '../../errors.ts';
import type { PictureFormat } from '../../model/picture.ts';
import { findInAvif } from './avif.ts';
import { findInGif } from './gif.ts';
import { findInJpeg } from './jpeg.ts';
import { findInPng } from './png.ts';
import { findInTiff } from './tiff.ts';
import { type Finding, unreadable } from './verdict.ts';
import { verdictError } from './verdict-error.ts';
import { findInWebp } from './webp.ts';

const finders: Readonly<Record<PictureFormat, (bytes: Uint8Array) => Finding | Promise<Finding>>> = {
  jpeg: findInJpeg,
  png: findInPng,
  gif: findInGif,
  webp: findInWebp,
  avif: findInAvif,
  tiff: findInTiff,
  // The BMP decoder is our own and throws named errors.
  bmp: () => unreadable(),
};

/**
 * Determines from a file's structure why the image library rejected it. The library's message becomes the `cause`, for
 * the log: it refers to its own source code, changes between versions, and reports unsupported features as damage.
 * Valid files are never checked, so they lose no time.
 * @returns the named error, or `undefined` if the file has all of its pixels.
 */
export async function explainFailure(
  error: unknown,
  bytes: Uint8Array,
  format: PictureFormat,
): Promise<AppError | undefined> {
  if (error instanceof AppError) return error;
  const finding = await finders[format](bytes);
  return finding === 'complete' ? undefined : verdictError(finding, format, error);
}

/** The same if completeness does not help: the decoder rejected the file twice, or its header. */
export async function explainRefusal(
  error: unknown,
  bytes: Uint8Array,
  format: PictureFormat,
): Promise<AppError> {
  return (await explainFailure(error, bytes, format)) ?? verdictError(unreadable(), format, error);
}
