import { createHash } from 'node:crypto';
import type { FocalPoint, Variant } from '../../model/preset.ts';
import { installedLibraryVersion } from '../library-version.ts';

/** Version of the pipeline. Increment it whenever the same original would yield different rendition bytes. */
export const pipelineVersion = 3;

const sharpVersion = installedLibraryVersion();

/**
 * Returns a hash that identifies how a variant is made: 10 hex digits, computed from the pipeline version, the image library
 * version, the preset's options (excluding its name) and, if the preset crops pictures, the image's focal point. The same
 * original and recipe always yield the same picture.
 * @param focalPoint the image's focal point, which affects only presets that crop pictures
 */
export function recipeHash({ preset, format, density }: Variant, focalPoint: FocalPoint | null): string {
  const { width, height, fit, background, focus, trim, enlarge, animation, keepMetadata } = preset;
  const recipe = JSON.stringify([
    pipelineVersion,
    sharpVersion,
    [width, height, fit, background, trim && [trim.tolerance, trim.margin], enlarge],
    fit === 'cover' ? (focalPoint ? [focalPoint.x, focalPoint.y] : focus) : null,
    [format, format === 'png' ? null : preset.quality[format], density],
    format === 'webp' ? animation : 'still',
    keepMetadata.toSorted(),
  ]);
  return createHash('sha256').update(recipe).digest('hex').slice(0, 10);
}
