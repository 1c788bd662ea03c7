import { originalKey } from '../storage/keys.ts';
import type { ReceivedFile } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import { atStage } from './job-failures.ts';

/**
 * Stores a received file as a tenant's original, and then records the row that names it.
 * @param record commits the row. A falsy result means that there is no row, so nothing protects the file.
 * @returns the result of `record`
 */
export async function storeOriginal<T>(
  storage: Pick<Storage, 'store' | 'stat'>,
  tenantId: number,
  file: ReceivedFile,
  record: (originalKey: string) => Promise<T>,
): Promise<T> {
  const staged = { path: file.path, key: originalKey(tenantId, file.contentHash) };
  const store = () => atStage('store', () => storage.store([staged], 'original'));
  await store();
  const recorded = await record(staged.key);
  // A purge of the same content may have removed the file just before the row was committed. The row protects it now.
  if (recorded && !(await storage.stat(staged.key))) await store();
  return recorded;
}
