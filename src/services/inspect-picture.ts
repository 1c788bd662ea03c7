import { sniffFormat } from '../imaging/format.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { PictureFacts, PictureLimits } from '../model/picture.ts';
import type { ReceivedFile } from '../storage/staging.ts';

interface Parts {
  readonly decoders: Pick<DecoderPool, 'probe'>;
  readonly limits: PictureLimits;
}

/**
 * Facts of a file that arrived: its type is told by the first bytes, then a decoder child reads the header.
 * @throws {AppError} that says what is wrong with the file.
 */
export type InspectPicture = (file: ReceivedFile) => Promise<PictureFacts>;

/** @see InspectPicture */
export function makeInspectPicture({ decoders, limits }: Parts): InspectPicture {
  return async (file) => {
    await sniffFormat(file.head, limits.allowedFormats);
    return decoders.probe({ path: file.path, limits });
  };
}
