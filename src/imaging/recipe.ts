import { createHash } from 'node:crypto';
import type { Preset } from '../model/preset.ts';
import { installedVersion } from './installed-version.ts';

/** Version of the steps that make a rendition: raised whenever the same original would give other bytes. */
export const pipelineVersion = 2;

// Read from its package.json: loading the library itself would bring native code into the parent process.
const sharpVersion = installedVersion('sharp');

/**
 * Names how a rendition is made: 10 hex digits over the pipeline's version, the image library's version and the
 * preset's options. Equal recipes of equal originals give equal bytes. The preset's name does not count.
 */
export function recipeOf(preset: Preset): string {
  const options = [preset.width, preset.height, preset.quality, 'jpeg'];
  const recipe = JSON.stringify([pipelineVersion, sharpVersion, options]);
  return createHash('sha256').update(recipe).digest('hex').slice(0, 10);
}
