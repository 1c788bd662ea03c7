import { createHash } from 'node:crypto';
import type { Preset } from '../../model/preset.ts';
import { installedLibraryVersion } from '../library-version.ts';

/** Version of the pipeline. Increment it whenever the same original would yield different rendition bytes. */
export const pipelineVersion = 2;

const sharpVersion = installedLibraryVersion();

/**
 * Returns a hash that identifies how a rendition is made: 10 hex digits, computed from the pipeline version, the image
 * library version and the preset's options (excluding its name). The same original and recipe always yield the same
 * bytes.
 */
export function recipeHash(preset: Preset): string {
  const options = [preset.width, preset.height, preset.quality, 'jpeg'];
  const recipe = JSON.stringify([pipelineVersion, sharpVersion, options]);
  return createHash('sha256').update(recipe).digest('hex').slice(0, 10);
}
