import { unlink } from 'node:fs/promises';
import { AppError, FileMissing } from '../errors.ts';

/** Returns the code of a system error, e.g. `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Whether `error` means that the file does not exist. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

const diskFullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Converts a read error. The new message contains no path. The original error is kept as the cause. */
export function toReadError(error: unknown): unknown {
  return isMissing(error) ? new FileMissing({ cause: error }) : toWriteError(error);
}

/** Converts an error from any operation other than a read. A missing path is reported as a failed operation. */
export function toWriteError(error: unknown): unknown {
  if (error instanceof AppError || error instanceof FileMissing) return error;
  const code = systemCode(error);
  if (code === undefined) return error;
  if (diskFullCodes.has(code)) {
    return new AppError('storage_full', 'The storage disk is full. The file was not stored.', {
      cause: error,
    });
  }
  return new AppError('storage_failed', `A storage operation failed (${code}).`, { cause: error });
}

/** Removes a file, if it exists. Uses `unlink`, because `rm` checks the path twice before removing it. */
export async function removeIfExists(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
