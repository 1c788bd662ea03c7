import { unlink } from 'node:fs/promises';
import { AppError, FileMissing } from '../errors.ts';

/** The code of a system error, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Whether `error` says that there is no such file. */
export function missing(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What reading met, as an error that Vitrine names; the system's own words, which hold paths, stay in its cause. */
export function namedStorageError(error: unknown): unknown {
  return missing(error) ? new FileMissing({ cause: error }) : namedWriteError(error);
}

/** The same for everything but reading: what is missing there is a folder, and no picture. */
export function namedWriteError(error: unknown): unknown {
  if (error instanceof AppError || error instanceof FileMissing) return error;
  const code = systemCode(error);
  if (code === undefined) return error;
  if (full.has(code)) {
    return new AppError('storage_full', 'The disk of the storage is full; nothing was kept of this upload.', {
      cause: error,
    });
  }
  return new AppError('storage_failed', `The storage did not do its work (${code}).`, { cause: error });
}

/** Removes a file; one that is gone already is fine. Not `rm`: that looks at the path twice before it removes it. */
export async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!missing(error)) throw error;
  }
}
