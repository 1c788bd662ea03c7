import { createHash } from 'node:crypto';
import { closeSync, fsync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { PictureFacts } from '../../model/picture.ts';
import { deriveRenditions, type EncodedRendition } from '../pipeline.ts';
import { probe } from '../probe.ts';
import { recipeOf } from '../recipe.ts';
import type {
  DerivedPicture,
  DeriveRequest,
  ProbeRequest,
  RenditionFile,
  Work,
  WorkKind,
} from './messages.ts';
import { removeRenditions, renditionPath } from './rendition-files.ts';

/** What a child can do: one function for each kind of work. */
export type Handlers = {
  readonly [Kind in WorkKind]: (request: Work[Kind]['request']) => Promise<Work[Kind]['result']>;
};

/** The real work. Files are read as a whole: the loaders of the image library are opened for memory only. */
export const handlers: Handlers = { probe: probeFile, derive: deriveFile };

async function probeFile({ path, limits }: ProbeRequest): Promise<PictureFacts> {
  return probe(readFileSync(path), limits);
}

async function deriveFile(request: DeriveRequest): Promise<DerivedPicture> {
  const { path, limits, presets } = request;
  const { facts, renditions } = await deriveRenditions({ bytes: readFileSync(path), limits, presets });
  // All are settled before anything is removed, or a late write would leave its file behind.
  const written = await Promise.allSettled(renditions.map((rendition) => writeRendition(request, rendition)));
  const failed = written.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    await removeRenditions(request);
    throw failed.reason;
  }
  return { facts, renditions: written.flatMap((o) => (o.status === 'fulfilled' ? [o.value] : [])) };
}

async function writeRendition(
  { outputDirectory, outputPrefix }: DeriveRequest,
  { preset, width, height, jpeg }: EncodedRendition,
): Promise<RenditionFile> {
  const path = renditionPath(outputDirectory, outputPrefix, preset.name);
  await writeSynced(path, jpeg);
  const sha256 = createHash('sha256').update(jpeg).digest('hex');
  return { preset: preset.name, recipe: recipeOf(preset), path, width, height, bytes: jpeg.length, sha256 };
}

const sync = promisify(fsync);

/**
 * Writes a new file and brings it to the disk. Only the sync waits for the disk; for the rest a thread would cost more
 * than the call.
 */
async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const fd = openSync(path, 'wx');
  try {
    writeFileSync(fd, bytes);
    await sync(fd);
  } finally {
    closeSync(fd);
  }
}
