import { sniffFormat } from '../imaging/formats/identify-format.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { PictureFacts, PictureLimits } from '../model/picture.ts';
import type { ReceivedFile } from '../storage/staging.ts';

interface Dependencies {
  readonly decoders: Pick<DecoderPool, 'probe'>;
  readonly limits: PictureLimits;
}

/**
 * Detects a received file's format from its first bytes, then reads its header in a decoder process.
 * @param tenantId the owner, for fair scheduling; `undefined` for a picture that does not belong to a tenant
 * @throws {AppError} if the file is not a valid picture or exceeds a limit.
 */
export type InspectPicture = (file: ReceivedFile, tenantId: number | undefined) => Promise<PictureFacts>;

/** @see InspectPicture */
export function makeInspectPicture({ decoders, limits }: Dependencies): InspectPicture {
  return async (file, tenant) => {
    await sniffFormat(file.head, limits.allowedFormats);
    return decoders.probe({ path: file.path, limits, tenant });
  };
}
