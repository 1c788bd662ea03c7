import type { RecordedVariant } from '../../db/campaigns/outdated-images.ts';
import { recipeHash } from '../../imaging/renditions/recipe.ts';
import type { ExpectedVariant } from '../../model/campaign.ts';
import { eagerVariants, type FocalPoint, type Preset, type Variant } from '../../model/preset.ts';

/** Returns all variants of the presets, with the recipes that they have for images without a focal point. */
export function listExpectedVariants(presets: readonly Preset[]): ExpectedVariant[] {
  return presets.flatMap((preset) =>
    listVariants(preset).map((variant) => ({
      preset: preset.name,
      format: variant.format,
      density: variant.density,
      recipe: recipeHash(variant, null),
      usesFocalPoint: preset.fit === 'cover',
      isEager: isEager(variant),
    })),
  );
}

/**
 * Returns the variants of an image that a campaign makes: outdated ones, and missing ones that presets make when an image is
 * added.
 * @param renditions the image's renditions that have not been superseded
 */
export function findOutdatedVariants(
  presets: readonly Preset[],
  renditions: readonly RecordedVariant[],
  focalPoint: FocalPoint | null,
): Variant[] {
  return presets.flatMap(listVariants).filter((variant) => {
    const recorded = renditions.find(
      ({ preset, format, density }) =>
        preset === variant.preset.name && format === variant.format && density === variant.density,
    );
    return recorded ? recorded.recipe !== recipeHash(variant, focalPoint) : isEager(variant);
  });
}

function listVariants(preset: Preset): Variant[] {
  return preset.formats.flatMap((format) => preset.densities.map((density) => ({ preset, format, density })));
}

function isEager({ preset, format, density }: Variant): boolean {
  return eagerVariants(preset).some((eager) => eager.format === format && eager.density === density);
}
