import { readFileSync } from 'node:fs';
import { comparePictures } from '../quality/compare-pictures.ts';
import { describePicture } from '../recognition/describe-picture.ts';
import { deriveRenditions } from '../renditions/derive-renditions.ts';
import { probe } from '../probe.ts';
import { type EncodedPair, matchRenditions } from '../recognition/pixel-match/match-renditions.ts';
import { tryPresets } from '../quality/try-presets.ts';
import type { Outcome, RenditionPair, Work, WorkKind } from './messages.ts';

/** What a child can do: one function for each kind of work. */
export type Handlers = {
  readonly [Kind in WorkKind]: (request: Work[Kind]['request']) => Promise<Outcome<Kind>>;
};

/** The real work. Files are read as a whole: the loaders of the image library are opened for memory only. */
export const handlers: Handlers = {
  probe: async ({ path, limits }) => probe(readFileSync(path), limits),
  derive: async ({ path, limits, presets }) => deriveRenditions(readFileSync(path), limits, presets),
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

/** One pair at a time is in memory. */
function* readPairs(pairs: readonly RenditionPair[]): Generator<EncodedPair> {
  for (const { path, storedPath, ...pair } of pairs) {
    yield { ...pair, made: readFileSync(path), stored: readFileSync(storedPath) };
  }
}
