import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { PictureFacts } from '../../model/picture.ts';
import { comparePictures } from '../compare-pictures.ts';
import { describePicture } from '../describe.ts';
import type { EncodedRendition } from '../make-renditions.ts';
import { deriveRenditions } from '../pipeline.ts';
import { probe } from '../probe.ts';
import { recipeOf } from '../recipe.ts';
import { type EncodedPair, matchRenditions } from '../sameness/match-renditions.ts';
import { tryPresets } from '../try-presets.ts';
import type {
  DerivedPicture,
  DeriveRequest,
  Outcome,
  ProbeRequest,
  RenditionFile,
  RenditionPair,
  Work,
  WorkKind,
} from './messages.ts';
import { removeRenditions, renditionPath } from './rendition-files.ts';

/** What a child can do: one function for each kind of work. */
export type Handlers = {
  readonly [Kind in WorkKind]: (request: Work[Kind]['request']) => Promise<Outcome<Kind>>;
};

/** The real work. Files are read as a whole: the loaders of the image library are opened for memory only. */
export const handlers: Handlers = {
  probe: probeFile,
  derive: deriveFile,
  describe: async ({ path, limits }) => describePicture(readFileSync(path), limits),
  compare: async ({ path, limits, others }) =>
    comparePictures(
      readFileSync(path),
      limits,
      others.map((other) => ({ name: other.name, bytes: readFileSync(other.path) })),
    ),
  tryPresets: async ({ path, limits, presets }) => tryPresets(readFileSync(path), limits, presets),
  matchRenditions: async ({ pairs }) => matchRenditions(readPairs(pairs)),
};

async function probeFile({ path, limits }: ProbeRequest): Promise<PictureFacts> {
  return probe(readFileSync(path), limits);
}

/** One pair at a time is in memory. */
function* readPairs(pairs: readonly RenditionPair[]): Generator<EncodedPair> {
  for (const { path, storedPath, ...pair } of pairs) {
    yield { ...pair, made: readFileSync(path), stored: readFileSync(storedPath) };
  }
}

async function deriveFile(request: DeriveRequest): Promise<DerivedPicture> {
  const { path, limits, presets } = request;
  const { renditions, ...rest } = await deriveRenditions({ bytes: readFileSync(path), limits, presets });
  try {
    return { ...rest, renditions: renditions.map((rendition) => writeRendition(request, rendition)) };
  } catch (error) {
    await removeRenditions(request);
    throw error;
  }
}

function writeRendition(
  { outputDirectory, outputPrefix }: DeriveRequest,
  { preset, width, height, jpeg }: EncodedRendition,
): RenditionFile {
  const path = renditionPath(outputDirectory, outputPrefix, preset.name);
  // Not synced: that would hold up the next picture, and the parent does it for all files of a picture at once.
  writeFileSync(path, jpeg, { flag: 'wx' });
  const sha256 = createHash('sha256').update(jpeg).digest('hex');
  return { preset: preset.name, recipe: recipeOf(preset), path, width, height, bytes: jpeg.length, sha256 };
}
