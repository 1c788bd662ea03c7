import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { TenantQueries } from '../db/tenants.ts';
import { AppError, FileMissing } from '../errors.ts';
import { cleanFilename } from '../model/filename.ts';
import type { Logger } from '../model/logger.ts';
import type { Principal } from '../model/principal.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import { incomingKey } from '../storage/keys.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { DirectAccess, OpenUpload, Storage, UploadUrl } from '../storage/storage.ts';
import type { IngestResult, IngestUpload, Upload } from './ingest-upload.ts';
import { ensureTenant, findTenant } from './tenants.ts';

interface PresignDependencies {
  readonly tenants: TenantQueries;
  readonly storage: Pick<Storage, 'directAccess'>;
  readonly maxUploadBytes: number;
}

/** A file that a client wants to send to the store directly. */
export interface UploadRequest {
  readonly bytes: number;
  readonly filename: string | undefined;
  /** Default: the caller's tenant, or else the tenant `default`. */
  readonly tenantName?: string | undefined;
}

/** Where to send the file, and the id with which to ingest it afterwards. */
export interface PresignedUpload extends UploadUrl {
  readonly id: string;
  readonly maxBytes: number;
}

/**
 * Creates a presigned URL for uploading one file of a known size to the store. Records nothing. A sweep removes files
 * that are never ingested.
 * @throws {AppError} `upload_not_offered` if this kind of storage does not support presigned URLs; `body_too_large`;
 *   `invalid_tenant`.
 */
export type PresignUpload = (principal: Principal, request: UploadRequest) => Promise<PresignedUpload>;

/** @see PresignUpload */
export function makePresignUpload({ tenants, storage, maxUploadBytes }: PresignDependencies): PresignUpload {
  return async (principal, { bytes, filename, tenantName }) => {
    const directAccess = requireDirectAccess(storage);
    if (bytes > maxUploadBytes) {
      throw new AppError(
        'body_too_large',
        `The file is ${bytes} bytes; the limit is ${maxUploadBytes} bytes (${toMiB(maxUploadBytes)} MiB).`,
      );
    }
    const tenant = await ensureTenant(tenants, principal, tenantName);
    const id = randomUUID();
    const name = filename === undefined ? undefined : cleanFilename(filename);
    const uploadUrl = await directAccess.presignUpload(incomingKey(tenant.id, id), { bytes, filename: name });
    return { ...uploadUrl, id, maxBytes: maxUploadBytes };
  };
}

function requireDirectAccess({ directAccess }: Pick<Storage, 'directAccess'>): DirectAccess {
  if (directAccess) return directAccess;
  throw new AppError(
    'upload_not_offered',
    'Presigned uploads require STORAGE_TYPE=s3. Send the file to POST /v1/images instead.',
  );
}

/** Converts bytes to MiB, rounded to two decimal places. */
function toMiB(bytes: number): number {
  return Math.round((bytes / 2 ** 20) * 100) / 100;
}

interface IngestDependencies {
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly storage: Pick<Storage, 'directAccess' | 'remove'>;
  readonly staging: Pick<Staging, 'receive' | 'discard'>;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly ingestUpload: IngestUpload;
  readonly maxUploadBytes: number;
  readonly logger: Logger;
}

/** A file that a client has sent to a presigned URL. */
export interface SentUpload extends Pick<Upload, 'tenantName' | 'mode'> {
  /** UUID of the presigned upload. */
  readonly id: string;
  /** Takes precedence over the name in the request for the presigned URL. */
  readonly filename: string | undefined;
}

/**
 * Ingests a file that was sent to a presigned URL, then removes the uploaded copy. A rejected file is kept, so that a
 * retry returns the same response.
 * @throws {AppError} `upload_not_offered`, `upload_not_found`, and the errors of `IngestUpload`.
 */
export type IngestPresigned = (principal: Principal, upload: SentUpload) => Promise<IngestResult>;

/** @see IngestPresigned */
export function makeIngestPresigned(deps: IngestDependencies): IngestPresigned {
  return async (principal, { id, filename, tenantName, mode }) => {
    const directAccess = requireDirectAccess(deps.storage);
    const tenant = await findTenant(deps.tenants, principal, tenantName);
    await deps.assertFreeSpace();
    const key = incomingKey(tenant.id, id);
    const upload = await directAccess.openUpload(key).catch((error: unknown) => {
      throw error instanceof FileMissing ? uploadNotFound(id, tenant.name) : error;
    });
    const file = await receive(deps, upload);
    const name = filename ?? upload.filename ?? 'unnamed';
    const result = await deps.ingestUpload(principal, { file, filename: name, tenantName, mode });
    await removeIngested(deps, key);
    return result;
  };
}

async function receive(
  { staging, maxUploadBytes }: IngestDependencies,
  { body }: OpenUpload,
): Promise<ReceivedFile> {
  const file = await staging.receive(limitSize(body, maxUploadBytes));
  if (file.bytes > 0) return file;
  await staging.discard(file.path);
  throw new AppError('empty_file', 'The file is empty.');
}

/**
 * Throws if the body is too large. The presigned URL also specifies the size, but not every store enforces that size.
 */
async function* limitSize(body: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new AppError(
        'body_too_large',
        `The file exceeds the limit of ${maxBytes} bytes (${toMiB(maxBytes)} MiB).`,
      );
    }
    yield chunk;
  }
}

/** Removes the uploaded copy. Only logs a failure, because the image is stored and a sweep will remove the copy. */
async function removeIngested({ storage, logger }: IngestDependencies, key: string): Promise<void> {
  try {
    await storage.remove(key);
  } catch (error) {
    logger.error(
      { err: error },
      'failed to remove an uploaded file after ingesting it; a sweep will remove it',
    );
  }
}

function uploadNotFound(id: string, tenantName: string): AppError {
  return new AppError(
    'upload_not_found',
    `There is no upload ${id} for tenant ${JSON.stringify(tenantName)}: the file has not been sent yet, has already been ingested, or has expired.`,
  );
}
