import { AppError } from '../../errors.ts';
import { recipeHash } from '../../imaging/renditions/recipe.ts';
import type { Image, ImageWithRenditions } from '../../model/image.ts';
import { eagerVariants, listedVariant, type Preset, type Variant } from '../../model/preset.ts';
import { isSameVariant, type VariantName } from '../../model/rendition.ts';

/** A variant of an image's picture as it would be made now. */
export interface CurrentVariant {
  readonly variant: Variant;
  readonly name: VariantName;
  readonly recipe: string;
}

/** Returns the variant of an image's picture, with the recipe for the image's focal point. */
export function toCurrentVariant(
  variant: Variant,
  { focalPoint }: Pick<Image, 'focalPoint'>,
): CurrentVariant {
  return { variant, name: toVariantName(variant), recipe: recipeHash(variant, focalPoint) };
}

/** Whether the image has a rendition of the variant with its current recipe. */
export function isRecorded(
  { renditions }: Pick<ImageWithRenditions, 'renditions'>,
  { name, recipe }: CurrentVariant,
): boolean {
  return renditions.some((one) => one.recipe === recipe && isSameVariant(one, name));
}

/** Returns the names that identify a variant in the database and in URLs. */
export function toVariantName({ preset, format, density }: Variant): VariantName {
  return { preset: preset.name, format, density };
}

/**
 * Returns the JPEG variant of a preset, even if the preset does not have this format, for clients that read nothing else.
 * Transparent parts are then white.
 */
export function jpegVariant(preset: Preset): Variant {
  const isOpaque = preset.formats.includes('jpeg');
  const background = isOpaque || preset.background !== 'transparent' ? preset.background : '#ffffff';
  return { preset: { ...preset, background }, format: 'jpeg', density: 1 };
}

/** Returns the variant with this name, or `undefined` if the preset does not offer it. */
export function findOffered(
  preset: Preset | undefined,
  { format, density }: Pick<VariantName, 'format' | 'density'>,
): Variant | undefined {
  if (!preset?.formats.includes(format) || !preset.densities.includes(density)) return undefined;
  return { preset, format, density };
}

/** Returns what the database records about a variant in addition to its file. */
export function describeVariant(variant: Variant) {
  const { preset, format, density } = variant;
  const isSame = (other: Variant) => other.format === format && other.density === density;
  return {
    quality: preset.quality[format],
    isListed: isSame(listedVariant(preset)),
    isOnRequest: !eagerVariants(preset).some(isSame),
  };
}

/** Returns the error for a variant that no preset offers. It lists what is available. */
export function unknownVariant(presets: readonly Preset[], name: VariantName): AppError {
  const preset = presets.find((candidate) => candidate.name === name.preset);
  if (!preset) {
    const names = presets.map((candidate) => candidate.name).join(', ');
    return new AppError(
      'unknown_variant',
      `There is no preset ${JSON.stringify(name.preset.slice(0, 40))}; the presets are ${names}.`,
    );
  }
  if (!preset.formats.includes(name.format))
    return new AppError(
      'unknown_variant',
      `The preset "${preset.name}" has no renditions in the format ${name.format}; its formats are ${preset.formats.join(', ')}.`,
    );
  return new AppError(
    'unknown_variant',
    `The preset "${preset.name}" has no renditions at density ${name.density}; it has ${preset.densities.join(', ')}.`,
  );
}

/** Returns the error for a URL with a recipe of which no rendition exists. */
export function unknownRecipe({ preset }: VariantName, recipe: string): AppError {
  return new AppError(
    'unknown_variant',
    `There is no rendition "${preset}" with the recipe ${JSON.stringify(recipe.slice(0, 40))}. It may have been replaced; the image record contains the current URLs.`,
  );
}
