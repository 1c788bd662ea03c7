import type { Sharp, SharpOptions } from 'sharp';
import type { PictureFormat } from '../model/picture.ts';
import { decodeBmp } from './bmp.ts';
import { readBmpHeader } from './bmp-header.ts';
import { sharp } from './native-library.ts';

const options: SharpOptions = {
  // Cut-off and clearly broken files are refused. Mere warnings (odd padding, a wrong CRC in a side chunk) are common
  // in sound photographs, and refusing them would refuse pictures that every browser shows.
  failOn: 'error',
  // Checked before, with the sentence that a person needs.
  limitInputPixels: false,
  // Every pixel is needed, and in memory at once: the line cache of a sequential read brings nothing.
  sequentialRead: false,
  // A TIFF may have any number of spot colours and masks; its size is bounded by the limits of pixels and of memory.
  limitInputChannels: false,
};

/** What a caller decides about a source. */
type OwnOptions = Pick<SharpOptions, 'ignoreIcc'>;

/**
 * The first frame of a picture, ready to be decoded by the next step. The caller has checked the limits.
 * @throws AppError `picture_damaged` for a BMP without its pixels; other formats fail while they are decoded.
 */
export function openSource(bytes: Uint8Array, format: PictureFormat, own: OwnOptions = {}): Sharp {
  if (format !== 'bmp') return sharp(bytes, { ...options, ...own });
  const { width, height, channels, data } = decodeBmp(bytes, readBmpHeader(bytes));
  return sharp(data, { raw: { width, height, channels } });
}
