import type { Sharp, SharpOptions } from 'sharp';
import type { PictureFormat } from '../../model/picture.ts';
import { decodeBmp } from './bmp.ts';
import { readBmpHeader } from '../containers/bmp.ts';
import { repackedPng } from '../damage/png.ts';
import { sharp } from './native-library.ts';
import { findUsedFrame } from '../containers/used-frame.ts';

const options: SharpOptions = {
  // Checked before, with the sentence that a person needs.
  limitInputPixels: false,
  // Every pixel is needed, and in memory at once: the line cache of a sequential read brings nothing.
  sequentialRead: false,
  // A TIFF may have any number of spot colours and masks; its size is bounded by the pixel and memory limits.
  limitInputChannels: false,
};

/** Options that the caller sets for a source. */
export interface SourceOptions extends Pick<SharpOptions, 'ignoreIcc'> {
  /** Whether the file is known to have all of its pixels, so that errors can be ignored. */
  readonly isComplete?: boolean;
}

/**
 * When the library fails. Usually, mere warnings (odd padding, a wrong CRC in an ancillary chunk) are common in valid
 * files. In a JPEG, a warning is the only sign of truncation if an end marker was added: `decodePicture` checks such a
 * file, and decodes it again if it is complete.
 */
function failOn(format: PictureFormat, isComplete: boolean): SharpOptions['failOn'] {
  if (isComplete) return 'none';
  return format === 'jpeg' ? 'warning' : 'error';
}

/**
 * The used frame of a picture, ready to be decoded by the next step. The caller has checked the limits.
 * @throws AppError those of `decodeBmp` and `findUsedFrame`; other pictures fail while they are decoded.
 */
export function openSource(
  bytes: Uint8Array,
  format: PictureFormat,
  { isComplete = false, ...own }: SourceOptions = {},
): Sharp {
  if (format === 'bmp') {
    const { width, height, channels, data } = decodeBmp(bytes, readBmpHeader(bytes));
    return sharp(data, { raw: { width, height, channels } });
  }
  const source = isComplete && format === 'png' ? repackedPng(bytes) : bytes;
  const frame = findUsedFrame(source, format);
  return sharp(frame.bytes, { ...options, ...own, ...frame.place, failOn: failOn(format, isComplete) });
}
