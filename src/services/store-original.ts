import { originalKey } from '../storage/keys.ts';
import type { ReceivedFile } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import { atStage } from './job-failures.ts';

/**
 * Stores a received file as a tenant's original, then records the row that refers to the file.
 * @param record commits the row. A falsy result means that there is no row, so the file may be removed.
 * @returns the result of `record`
 */
export async function storeOriginal<T>(
  storage: Pick<Storage, 'store' | 'stat'>,
  tenantId: number,
  file: ReceivedFile,
  record: (originalKey: string) => Promise<T>,
): Promise<T> {
  const stagedFile = { path: file.path, key: originalKey(tenantId, file.contentHash) };
  const store = () => atStage('store', () => storage.store([stagedFile], 'original'));
  await store();
  const result = await record(stagedFile.key);
  // A purge of the same content may have removed the file just before the row was committed. The row now protects the
  // file from being removed again.
  if (result && !(await storage.stat(stagedFile.key))) await store();
  return result;
}
