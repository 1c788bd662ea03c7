import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Preset } from '../model/preset.ts';
import type { PresetTrial } from '../model/quality.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { InspectPicture } from './inspect-picture.ts';
import { priorities } from './priorities.ts';

interface Dependencies {
  readonly inspectPicture: InspectPicture;
  readonly decoders: Pick<DecoderPool, 'tryPresets'>;
  readonly staging: Pick<Staging, 'discard'>;
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/** Every preset tried on a picture. */
export interface PresetTrials {
  readonly results: readonly PresetTrial[];
  /** The smallest preset with a quality of 0.95 or more, else the best one. */
  readonly recommended: string;
}

/** Tries every preset on a picture that is not kept. The received file is removed. @throws {AppError} for a bad file. */
export type TryPresets = (file: ReceivedFile) => Promise<PresetTrials>;

/** A rendition of this quality is hard to tell from its source. */
const goodQuality = 0.95;

/** @see TryPresets */
export function makeTryPresets(deps: Dependencies): TryPresets {
  const { inspectPicture, decoders, staging, limits, presets } = deps;
  return async (file) => {
    try {
      await inspectPicture(file, undefined);
      const { results } = await decoders.tryPresets({
        path: file.path,
        limits,
        presets,
        priority: priorities.inline,
      });
      return { results, recommended: recommend(results) };
    } finally {
      await staging.discard(file.path);
    }
  };
}

/** The fewest bytes among those that are good enough; else the best, and of equally good ones the smallest. */
function recommend(results: readonly PresetTrial[]): string {
  const good = results.filter(({ quality }) => quality >= goodQuality);
  const [chosen] =
    good.length > 0
      ? good.toSorted((a, b) => a.bytes - b.bytes)
      : results.toSorted((a, b) => b.quality - a.quality || a.bytes - b.bytes);
  return chosen?.preset ?? '';
}
