import type { Sharp, SharpOptions } from 'sharp';
import type { PictureFormat } from '../model/picture.ts';
import { decodeBmp } from './bmp.ts';
import { readBmpHeader } from './bmp-header.ts';
import { repackedPng } from './damage/png.ts';
import { sharp } from './native-library.ts';
import { findUsedFrame } from './used-frame.ts';

const options: SharpOptions = {
  // Checked before, with the sentence that a person needs.
  limitInputPixels: false,
  // Every pixel is needed, and in memory at once: the line cache of a sequential read brings nothing.
  sequentialRead: false,
  // A TIFF may have any number of spot colours and masks; its size is bounded by the limits of pixels and of memory.
  limitInputChannels: false,
};

/** What a caller decides about a source. */
export interface OwnOptions extends Pick<SharpOptions, 'ignoreIcc'> {
  /** Whether the file is known to have all of its pixels, so that no complaint about it matters. */
  readonly isComplete?: boolean;
}

/**
 * When the library gives up. Elsewhere mere warnings (odd padding, a wrong CRC in a side chunk) are common in sound
 * files. In a JPEG, a warning is all that it says about a cut that was closed with an end marker: `decodePicture` looks
 * at such a file, and decodes it again if it is complete.
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
  { isComplete = false, ...own }: OwnOptions = {},
): Sharp {
  if (format === 'bmp') {
    const { width, height, channels, data } = decodeBmp(bytes, readBmpHeader(bytes));
    return sharp(data, { raw: { width, height, channels } });
  }
  const source = isComplete && format === 'png' ? repackedPng(bytes) : bytes;
  const frame = findUsedFrame(source, format);
  return sharp(frame.bytes, { ...options, ...own, ...frame.place, failOn: failOn(format, isComplete) });
}
