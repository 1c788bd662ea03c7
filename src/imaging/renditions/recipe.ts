import { createHash } from 'node:crypto';
import type { Preset } from '../../model/preset.ts';
import { installedDecoder } from '../library-version.ts';

/** Version of the pipeline. Raised whenever the same original would yield different rendition bytes. */
export const pipelineVersion = 2;

const sharpVersion = installedDecoder();

/**
 * Identifies how a rendition is made: the first 10 hex digits of a hash over the pipeline version, the image library
 * version and the preset's options. The same original and recipe yield the same bytes. The preset's name is not part
 * of it.
 */
export function recipeOf(preset: Preset): string {
  const options = [preset.width, preset.height, preset.quality, 'jpeg'];
  const recipe = JSON.stringify([pipelineVersion, sharpVersion, options]);
  return createHash('sha256').update(recipe).digest('hex').slice(0, 10);
}
