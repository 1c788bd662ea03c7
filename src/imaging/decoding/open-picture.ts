import type { Sharp, SharpOptions } from 'sharp';
import type { PictureFormat } from '../../model/picture.ts';
import { decodeBmp } from './bmp.ts';
import { readBmpHeader } from '../containers/bmp.ts';
import { repackPng } from '../damage/png.ts';
import { sharp } from './native-library.ts';
import { selectFrame } from '../containers/select-frame.ts';

const commonOptions: SharpOptions = {
  // The limits are checked earlier, with an error message that users understand.
  limitInputPixels: false,
  // All pixels are needed in memory at once, so the line cache of sequential reads has no benefit.
  sequentialRead: false,
  // A TIFF may have many channels for spot colours and masks. The pixel and memory limits already bound its size.
  limitInputChannels: false,
};

/** Options for opening a picture. */
export interface SourceOptions extends Pick<SharpOptions, 'ignoreIcc'> {
  /** Whether the file is known to contain all of its pixels, so that errors can be ignored. */
  readonly isComplete?: boolean;
}

/**
 * Returns the lowest severity at which a problem makes the library fail. Warnings (odd padding, a wrong CRC in an
 * ancillary chunk) are common in valid files. If an end marker was added to a truncated JPEG, however, a warning is the
 * only sign of the truncation. After a warning, `decodePicture` checks the file, and decodes it again if it is
 * complete.
 */
function selectFailureSeverity(format: PictureFormat, isComplete: boolean): SharpOptions['failOn'] {
  if (isComplete) return 'none';
  return format === 'jpeg' ? 'warning' : 'error';
}

/**
 * Opens the selected frame of a picture with the image library. The caller has checked the limits.
 * @throws AppError as `decodeBmp` and `selectFrame` do. The image library reports its own errors only during decoding.
 */
export function openPicture(
  bytes: Uint8Array,
  format: PictureFormat,
  { isComplete = false, ...libraryOptions }: SourceOptions = {},
): Sharp {
  if (format === 'bmp') {
    const { width, height, channels, data } = decodeBmp(bytes, readBmpHeader(bytes));
    return sharp(data, { raw: { width, height, channels } });
  }
  const source = isComplete && format === 'png' ? repackPng(bytes) : bytes;
  const frame = selectFrame(source, format);
  return sharp(frame.bytes, {
    ...commonOptions,
    ...libraryOptions,
    ...frame.position,
    failOn: selectFailureSeverity(format, isComplete),
  });
}
