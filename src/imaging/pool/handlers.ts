import { readFileSync } from 'node:fs';
import { comparePictures } from '../compare-pictures.ts';
import { describePicture } from '../describe.ts';
import { deriveRenditions } from '../pipeline.ts';
import { probe } from '../probe.ts';
import { tryPresets } from '../try-presets.ts';
import type { Outcome, Work, WorkKind } from './messages.ts';

/** What a child can do: one function for each kind of work. */
export type Handlers = {
  readonly [Kind in WorkKind]: (request: Work[Kind]['request']) => Promise<Outcome<Kind>>;
};

/** The real work. Files are read as a whole: the loaders of the image library are opened for memory only. */
export const handlers: Handlers = {
  probe: async ({ path, limits }) => probe(readFileSync(path), limits),
  derive: async ({ path, limits, presets }) =>
    deriveRenditions({ bytes: readFileSync(path), limits, presets }),
  describe: async ({ path, limits }) => describePicture(readFileSync(path), limits),
  compare: async ({ path, limits, others }) =>
    comparePictures(
      readFileSync(path),
      limits,
      others.map((other) => ({ name: other.name, bytes: readFileSync(other.path) })),
    ),
  tryPresets: async ({ path, limits, presets }) => tryPresets(readFileSync(path), limits, presets),
};
