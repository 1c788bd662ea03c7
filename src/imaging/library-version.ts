import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** Oldest version of the image library that may decode untrusted files. */
export const minimumLibrary = {
  version: '0.35.4',
  reason:
    'older versions of sharp contain decoders with known memory errors (GHSA-f88m-g3jw-g9cj, GHSA-rgj7-g3m4-5g8c).',
};

/**
 * Returns the installed version of the image library. Reads package.json, because importing the library would load
 * native code into this process.
 */
export function installedLibraryVersion(): string {
  const path = findPackageJSON('sharp', import.meta.url);
  if (path === undefined) throw new Error('The package sharp is not installed.');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
