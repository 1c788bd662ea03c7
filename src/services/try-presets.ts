import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import { priorities } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { PresetTrial } from '../model/quality.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { InspectPicture } from './inspect-picture.ts';
import type { PresetsInForce } from './presets-in-force.ts';

interface Dependencies {
  readonly inspectPicture: InspectPicture;
  readonly decoders: Pick<DecoderPool, 'tryPresets'>;
  readonly staging: Pick<Staging, 'discard'>;
  readonly limits: PictureLimits;
  readonly presets: Pick<PresetsInForce, 'forRendering'>;
}

/** The results of all presets for a picture. */
export interface PresetTrials {
  readonly results: readonly PresetTrial[];
  /**
   * Name of the preset that yields the smallest file of good quality. If no preset yields good quality, the name of the
   * preset that yields the best quality.
   */
  readonly recommended: string;
}

/** Tries every preset on an uploaded picture. Discards the received file. @throws the errors of `InspectPicture`. */
export type TryPresets = (principal: Principal, file: ReceivedFile) => Promise<PresetTrials>;

/** Minimum SSIM for good quality. Above this value, a rendition is hard to distinguish from its original. */
const goodQuality = 0.95;

/** @see TryPresets */
export function makeTryPresets(deps: Dependencies): TryPresets {
  const { inspectPicture, decoders, staging, limits, presets } = deps;
  return async (_principal, file) => {
    try {
      await inspectPicture(file, undefined);
      const list = await presets.forRendering();
      // One task per preset: with many presets, a single one would exceed the time limit, as if the picture were to blame.
      const tasks = list.map((preset) =>
        decoders.tryPresets({ path: file.path, limits, presets: [preset], priority: priorities.inline }),
      );
      // The file must not be discarded before all have ended.
      await Promise.allSettled(tasks);
      const results = (await Promise.all(tasks)).flatMap((tried) => tried.results);
      return { results, recommended: recommend(results) };
    } finally {
      await staging.discard(file.path);
    }
  };
}

function recommend(results: readonly PresetTrial[]): string {
  const goodTrials = results.filter(({ quality }) => quality >= goodQuality);
  const [bestTrial] =
    goodTrials.length > 0
      ? goodTrials.toSorted((a, b) => a.bytes - b.bytes)
      : results.toSorted((a, b) => b.quality - a.quality || a.bytes - b.bytes);
  return bestTrial?.preset ?? '';
}
