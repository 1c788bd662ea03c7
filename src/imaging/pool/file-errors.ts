import { AppError } from '../../errors.ts';

const fullDisk = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Maps a failed system call on a file to a named error; `undefined` for any other `error`. */
export function namedFileError(error: unknown): AppError | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  if (fullDisk.has(error.code)) {
    const sentence = 'The storage is full; the renditions could not be written.';
    return new AppError('storage_full', sentence, { cause: error });
  }
  if (!/^E[A-Z]+$/.test(error.code)) return undefined;
  return new AppError('storage_failed', `A file could not be read or written (${error.code}).`, {
    cause: error,
  });
}
