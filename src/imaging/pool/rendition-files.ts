import { hash, randomUUID, subtle } from 'node:crypto';
import { closeSync, openSync, writeFile } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FocalPoint, RenditionFormat } from '../../model/preset.ts';
import type { EncodedRendition } from '../renditions/derive-renditions.ts';
import { recipeHash } from '../renditions/recipe.ts';
import { toFileError } from './file-errors.ts';

/** A rendition as a file in the output directory. It has not been synced to disk. */
export interface RenditionFile {
  /** Name of the preset. */
  readonly preset: string;
  readonly format: RenditionFormat;
  readonly density: number;
  /** Hash that identifies how the rendition was made. */
  readonly recipe: string;
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** File size in bytes. */
  readonly bytes: number;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
}

/** Up to this length, hashing on the event loop (0.2 ms) takes less time than passing the bytes to the thread pool. */
const maxSyncHashBytes = 2 ** 18;

/**
 * Writes renditions into `directory` under new names. On failure, no file is left behind. The parent process writes and
 * hashes the files itself, because a child could keep a file open and change it after it has been stored.
 * @param focalPoint the focal point of the image, with which they were made
 * @throws {AppError} `storage_failed`, `storage_full`.
 */
export async function writeRenditions(
  directory: string,
  renditions: readonly EncodedRendition[],
  focalPoint: FocalPoint | null,
): Promise<RenditionFile[]> {
  const renditionsWithPaths = renditions.map((rendition) => ({
    ...rendition,
    recipe: recipeHash(rendition, focalPoint),
    path: join(directory, randomUUID()),
  }));
  const results = await Promise.allSettled(renditionsWithPaths.map(writeRendition));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure === undefined) return results.flatMap((result) => ('value' in result ? [result.value] : []));
  await Promise.allSettled(renditionsWithPaths.map(({ path }) => rm(path, { force: true })));
  throw toFileError(failure.reason) ?? failure.reason;
}

async function writeRendition({
  data,
  ...rendition
}: EncodedRendition & Pick<RenditionFile, 'recipe' | 'path'>): Promise<RenditionFile> {
  const { preset, format, density, recipe, path, width, height } = rendition;
  // The file is not synced here, because the storage code decides what must survive a power failure.
  const [sha256] = await Promise.all([computeSha256(data), writeNewFile(path, data)]);
  return {
    preset: preset.name,
    format,
    density,
    recipe,
    path,
    width,
    height,
    bytes: data.length,
    sha256,
  };
}

const writeTo = promisify(writeFile);

/** Only writing happens in the thread pool. Opening and closing a file takes less time than passing the call to it. */
async function writeNewFile(path: string, data: Buffer): Promise<void> {
  const file = openSync(path, 'wx');
  try {
    await writeTo(file, data);
  } finally {
    closeSync(file);
  }
}

async function computeSha256(bytes: Buffer): Promise<string> {
  if (bytes.length <= maxSyncHashBytes) return hash('sha256', bytes, 'hex');
  return Buffer.from(await subtle.digest('SHA-256', bytes)).toString('hex');
}
