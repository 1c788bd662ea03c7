import { execFile } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { StartupError } from '../../errors.ts';
import type { PictureFormat } from '../../model/picture.ts';

const run = promisify(execFile);

/** Time limit for loading the image library. */
const timeoutMs = 20_000;

/**
 * Checks that the installed image library reads the allowed formats. Only HEIC depends on how the library was built.
 * @throws {StartupError} that explains what to do.
 */
export async function assertFormatsAreReadable(allowedFormats: readonly PictureFormat[]): Promise<void> {
  if (!allowedFormats.includes('heic') || (await readsHeic())) return;
  throw new StartupError(
    'ALLOWED_EXTENSIONS contains heic, but the installed image library cannot read HEIC. The prebuilt library contains no decoder for it, because its codec is protected by patents. Install a library that contains one (see docs/heic.md), or remove heic from ALLOWED_EXTENSIONS.',
  );
}

/** Returns whether the installed image library says that it reads HEIC. */
async function readsHeic(): Promise<boolean> {
  // Compiled files have a different extension.
  const extension = extname(fileURLToPath(import.meta.url));
  const script = fileURLToPath(new URL(`./list-library-formats${extension}`, import.meta.url));
  const { stdout } = await run(process.execPath, [script], { timeout: timeoutMs });
  return (JSON.parse(stdout) as string[]).includes('.heic');
}
