import { sniffFormat } from '../imaging/formats/identify-format.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { PictureFacts, PictureLimits } from '../model/picture.ts';
import type { ReceivedFile } from '../storage/staging.ts';

interface Dependencies {
  readonly decoders: Pick<DecoderPool, 'probe'>;
  readonly limits: PictureLimits;
}

/**
 * Facts of a received file: the first bytes give its format, then a decoder child reads the header.
 * @param tenantId whose file it is; `undefined` for a picture that belongs to no tenant.
 * @throws {AppError} that says what is wrong with the file.
 */
export type InspectPicture = (file: ReceivedFile, tenantId: number | undefined) => Promise<PictureFacts>;

/** @see InspectPicture */
export function makeInspectPicture({ decoders, limits }: Dependencies): InspectPicture {
  return async (file, tenant) => {
    await sniffFormat(file.head, limits.allowedFormats);
    return decoders.probe({ path: file.path, limits, tenant });
  };
}
