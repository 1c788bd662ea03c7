import type { PictureFacts } from '../model/picture.ts';
import { asDamagedPicture } from './decode-errors.ts';
import type { Size } from './geometry.ts';
import type { Pixels } from './pixels.ts';
import { openSource } from './source.ts';
import { decodeTo } from './steps.ts';

/**
 * A picture whose facts are known, decoded to exactly `size`.
 * @throws AppError `picture_damaged` when the pixels cannot be decoded.
 */
export async function decodePicture(bytes: Uint8Array, facts: PictureFacts, size: Size): Promise<Pixels> {
  try {
    return await decodeTo(openSource(bytes, facts.format), size);
  } catch (error) {
    throw asDamagedPicture(error, facts.format);
  }
}
