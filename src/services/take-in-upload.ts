import type { Readable } from 'node:stream';
import type { TenantQueries } from '../db/tenants.ts';
import { AppError, FileMissing } from '../errors.ts';
import type { Logger } from '../model/logger.ts';
import type { Principal } from '../model/principal.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import { incomingKey } from '../storage/keys.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { OpenUpload, Storage } from '../storage/storage.ts';
import { findTenant } from './find-tenant.ts';
import type { Ingested, IngestUpload, Upload } from './ingest-upload.ts';
import { requireDirect, toMib } from './offer-upload.ts';

interface Dependencies {
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly storage: Pick<Storage, 'direct' | 'remove'>;
  readonly staging: Staging;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly ingestUpload: IngestUpload;
  readonly maxUploadBytes: number;
  readonly logger: Logger;
}

/** A file that a client put into the store, and what it wants done with it. */
export interface SentUpload extends Pick<Upload, 'tenantName' | 'mode'> {
  /** UUID of the offer. */
  readonly id: string;
  /** Wins over the name that was given with the offer. */
  readonly filename: string | undefined;
}

/**
 * Takes in a file that was sent to the store: reads it into staging, goes the way of every upload, and removes it from
 * its place afterwards. It stays there when it is refused, so that repeating gives the same answer.
 * @throws {AppError} `upload_not_offered`, `upload_not_found`, and those of an upload.
 */
export type TakeInUpload = (principal: Principal, sent: SentUpload) => Promise<Ingested>;

/** @see TakeInUpload */
export function makeTakeInUpload(deps: Dependencies): TakeInUpload {
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
    await removeTaken(deps, key);
    return ingested;
  };
}

/** Into staging, as if it had come in a form. */
async function receive(
  { staging, maxUploadBytes }: Dependencies,
  { body }: OpenUpload,
): Promise<ReceivedFile> {
  const file = await staging.receive(limit(body, maxUploadBytes));
  if (file.bytes > 0) return file;
  await staging.discard(file.path);
  throw new AppError('empty_file', 'The file is empty: it has 0 bytes.');
}

/** The store was told the size. Some take another one all the same. */
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

/** The image is there: what stays behind is no reason to refuse it, and a sweep removes it. */
async function removeTaken({ storage, logger }: Dependencies, key: string): Promise<void> {
  try {
    await storage.remove(key);
  } catch (error) {
    logger.error({ err: error }, 'a file that was taken in could not be removed; a sweep tries again');
  }
}

function notFound(id: string, tenantName: string): AppError {
  return new AppError(
    'upload_not_found',
    `There is no file ${id} of the tenant ${JSON.stringify(tenantName)}: it was not sent yet, was taken in already, or has expired.`,
  );
}
