import type { PictureFacts } from '../model/picture.ts';
import { explainFailure, explainRefusal } from './explain-failure.ts';
import type { Size } from './geometry.ts';
import type { Pixels } from './pixels.ts';
import { openSource } from './source.ts';
import { decodeTo } from './steps.ts';

/**
 * A picture whose facts are known, decoded to exactly `size`. What the library complains about is decoded all the same
 * where the structure of the file proves that all pixels are there: browsers show it, too.
 * @throws AppError `picture_cut`, `picture_corrupt`, `picture_unsupported` or `picture_unreadable`.
 */
export async function decodePicture(bytes: Uint8Array, facts: PictureFacts, size: Size): Promise<Pixels> {
  const { format } = facts;
  try {
    return await decodeTo(openSource(bytes, format), size);
  } catch (error) {
    const reason = explainFailure(error, bytes, format);
    if (reason !== undefined) throw reason;
  }
  try {
    return await decodeTo(openSource(bytes, format, { isComplete: true }), size);
  } catch (error) {
    throw explainRefusal(error, bytes, format);
  }
}
