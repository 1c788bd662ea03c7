import { AppError } from '../../errors.ts';

const diskFullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Converts an error from a file operation to an `AppError`; returns `undefined` for any other error. */
export function toFileError(error: unknown): AppError | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  if (diskFullCodes.has(error.code)) {
    const message = 'Storage is full; the renditions could not be written.';
    return new AppError('storage_full', message, { cause: error });
  }
  if (!/^E[A-Z]+$/.test(error.code)) return undefined;
  return new AppError('storage_failed', `A file could not be read or written (${error.code}).`, {
    cause: error,
  });
}
