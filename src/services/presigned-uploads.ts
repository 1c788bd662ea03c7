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
import type { Ingested, IngestUpload, Upload } from './ingest-upload.ts';
import { ensureTenant, findTenant } from './tenants.ts';

interface PresignDependencies {
  readonly tenants: TenantQueries;
  readonly storage: Pick<Storage, 'direct'>;
  readonly maxUploadBytes: number;
}

/** A file that a client wants to send to the store directly. */
export interface UploadRequest {
  readonly bytes: number;
  readonly filename: string | undefined;
  readonly tenantName: string;
}

/** Where the client sends the file, and the id under which to ingest it afterwards. */
export interface PresignedUpload extends UploadUrl {
  readonly id: string;
  readonly maxBytes: number;
}

/**
 * Makes a presigned address for uploading one file of a known size to the store. Records nothing: a sweep removes files
 * that are not ingested.
 * @throws {AppError} `upload_not_offered` if the storage has no presigned addresses, `body_too_large`, `invalid_tenant`.
 */
export type PresignUpload = (principal: Principal, request: UploadRequest) => Promise<PresignedUpload>;

/** @see PresignUpload */
export function makePresignUpload({ tenants, storage, maxUploadBytes }: PresignDependencies): PresignUpload {
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
    const address = await direct.presignUpload(incomingKey(tenant.id, id), { bytes, filename: name });
    return { ...address, id, maxBytes: maxUploadBytes };
  };
}

function requireDirect({ direct }: Pick<Storage, 'direct'>): DirectAccess {
  if (direct) return direct;
  throw new AppError(
    'upload_not_offered',
    'Presigned uploads need STORAGE_TYPE=s3; send the file to POST /v1/images.',
  );
}

/** Rounds to two decimals. */
function toMib(bytes: number): number {
  return Math.round((bytes / 2 ** 20) * 100) / 100;
}

interface IngestDependencies {
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly storage: Pick<Storage, 'direct' | 'remove'>;
  readonly staging: Pick<Staging, 'receive' | 'discard'>;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly ingestUpload: IngestUpload;
  readonly maxUploadBytes: number;
  readonly logger: Logger;
}

/** A file that a client has sent to a presigned address. */
export interface SentUpload extends Pick<Upload, 'tenantName' | 'mode'> {
  /** UUID of the presigned upload. */
  readonly id: string;
  /** Takes precedence over the name in the request for the address. */
  readonly filename: string | undefined;
}

/**
 * Ingests a file that was sent to a presigned address, and then removes it from there. A file that is refused stays, so
 * that a retry gets the same response.
 * @throws {AppError} `upload_not_offered`, `upload_not_found`, and the errors of `IngestUpload`.
 */
export type IngestPresigned = (principal: Principal, sent: SentUpload) => Promise<Ingested>;

/** @see IngestPresigned */
export function makeIngestPresigned(deps: IngestDependencies): IngestPresigned {
  return async (principal, { id, filename, tenantName, mode }) => {
    const direct = requireDirect(deps.storage);
    const tenant = await findTenant(deps.tenants, principal, tenantName);
    await deps.assertFreeSpace();
    const key = incomingKey(tenant.id, id);
    const opened = await direct.openUpload(key).catch((error: unknown) => {
      throw error instanceof FileMissing ? notFound(id, tenantName) : error;
    });
    const file = await receive(deps, opened);
    const name = filename ?? opened.filename ?? 'unnamed';
    const ingested = await deps.ingestUpload(principal, { file, filename: name, tenantName, mode });
    await removeIngested(deps, key);
    return ingested;
  };
}

async function receive(
  { staging, maxUploadBytes }: IngestDependencies,
  { body }: OpenUpload,
): Promise<ReceivedFile> {
  const file = await staging.receive(limit(body, maxUploadBytes));
  if (file.bytes > 0) return file;
  await staging.discard(file.path);
  throw new AppError('empty_file', 'The file is empty: it has 0 bytes.');
}

/** The size is part of the presigned address, but not every store enforces it. */
async function* limit(body: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new AppError(
        'body_too_large',
        `The file is larger; the limit is ${maxBytes} bytes (${toMib(maxBytes)} MiB).`,
      );
    }
    yield chunk;
  }
}

/** Failures are only logged, because the image is stored. A sweep removes the file later. */
async function removeIngested({ storage, logger }: IngestDependencies, key: string): Promise<void> {
  try {
    await storage.remove(key);
  } catch (error) {
    logger.error({ err: error }, 'a file that was ingested could not be removed; a sweep tries again');
  }
}

function notFound(id: string, tenantName: string): AppError {
  return new AppError(
    'upload_not_found',
    `There is no file ${id} of the tenant ${JSON.stringify(tenantName)}: it was not sent yet, was already ingested, or has expired.`,
  );
}
