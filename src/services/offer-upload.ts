import { randomUUID } from 'node:crypto';
import type { TenantQueries } from '../db/tenants.ts';
import { AppError } from '../errors.ts';
import { cleanFilename } from '../model/filename.ts';
import type { Principal } from '../model/principal.ts';
import { incomingKey } from '../storage/keys.ts';
import type { DirectAccess, Storage, UploadAddress } from '../storage/storage.ts';
import { ensureTenant } from './find-tenant.ts';

interface Dependencies {
  readonly tenants: TenantQueries;
  readonly storage: Pick<Storage, 'direct'>;
  readonly maxUploadBytes: number;
}

/** A file that a client wants to send past this process. */
export interface UploadRequest {
  readonly bytes: number;
  readonly filename: string | undefined;
  readonly tenantName: string;
}

/** Where the client puts it, and the name by which it is taken in afterwards. */
export interface UploadOffer extends UploadAddress {
  readonly id: string;
  readonly maxBytes: number;
}

/**
 * Offers a place in the store for one file of a known size. Nothing is recorded: what nobody takes in, a sweep removes.
 * @throws {AppError} `upload_not_offered` when the storage has no such places, `body_too_large`, `invalid_tenant`.
 */
export type OfferUpload = (principal: Principal, request: UploadRequest) => Promise<UploadOffer>;

/** @see OfferUpload */
export function makeOfferUpload({ tenants, storage, maxUploadBytes }: Dependencies): OfferUpload {
  return async (principal, { bytes, filename, tenantName }) => {
    const direct = requireDirect(storage);
    if (bytes > maxUploadBytes) {
      throw new AppError(
        'body_too_large',
        `The file has ${bytes} bytes; the limit is ${maxUploadBytes} bytes (${toMib(maxUploadBytes)} MiB).`,
      );
    }
    const tenant = await ensureTenant(tenants, principal, tenantName);
    const id = randomUUID();
    const name = filename === undefined ? undefined : cleanFilename(filename);
    const address = await direct.uploadAddress(incomingKey(tenant.id, id), { bytes, filename: name });
    return { ...address, id, maxBytes: maxUploadBytes };
  };
}

/** @throws {AppError} `upload_not_offered` */
export function requireDirect({ direct }: Pick<Storage, 'direct'>): DirectAccess {
  if (direct) return direct;
  throw new AppError(
    'upload_not_offered',
    'Presigned uploads need STORAGE_TYPE=s3; send the file to POST /v1/images.',
  );
}

/** With two digits behind the point. */
export function toMib(bytes: number): number {
  return Math.round((bytes / 2 ** 20) * 100) / 100;
}
