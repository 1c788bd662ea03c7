import { variantSize } from '../../imaging/renditions/composition.ts';
import { recipeHash } from '../../imaging/renditions/recipe.ts';
import type { ImageWithRenditions } from '../../model/image.ts';
import type { FocalPoint, Preset, RenditionFormat, Variant } from '../../model/preset.ts';
import type { PresetsInForce } from '../presets-in-force.ts';

/** A rendition that can be delivered, whether or not it has been made. */
export interface DeliverableVariant {
  readonly density: number;
  /** Recipe of each format of the preset. */
  readonly recipes: Readonly<Partial<Record<RenditionFormat, string>>>;
  /** Size in pixels; `null` if it is known only once the rendition has been made. */
  readonly width: number | null;
  readonly height: number | null;
}

/** What a preset yields for an image. */
export interface PresetDelivery {
  readonly preset: string;
  readonly formats: readonly RenditionFormat[];
  /** In ascending order of density, from 1. Densities that yield the same size as a lower one are omitted. */
  readonly variants: readonly DeliverableVariant[];
}

/** The facts about an image on which its renditions depend. */
type DeliverableImage = Pick<
  ImageWithRenditions,
  'status' | 'width' | 'height' | 'focalPoint' | 'renditions'
>;

/** Describes what can be delivered of an image: nothing if its size is unknown, or if its processing failed. */
export type DescribeDelivery = (image: DeliverableImage) => readonly PresetDelivery[];

/** @see DescribeDelivery */
export function makeDescribeDelivery(presets: Pick<PresetsInForce, 'list'>): DescribeDelivery {
  const recipeOf = makeRecipes();
  return (image) => {
    if (image.width === null || image.height === null || image.status === 'failed') return [];
    return presets.list().map((preset) => describePreset(image, preset, recipeOf));
  };
}

type RecipeOf = (variant: Variant, focalPoint: FocalPoint | null) => string;

/** Remembers the recipes of images without a focal point, because lists of images need them repeatedly. */
function makeRecipes(): RecipeOf {
  const recipes = new WeakMap<Preset, Map<string, string>>();
  return (variant, focalPoint) => {
    const { preset, format, density } = variant;
    if (focalPoint !== null && preset.fit === 'cover') return recipeHash(variant, focalPoint);
    const ofPreset = recipes.get(preset) ?? new Map<string, string>();
    recipes.set(preset, ofPreset);
    const key = `${format}@${density}`;
    const recipe = ofPreset.get(key) ?? recipeHash(variant, null);
    ofPreset.set(key, recipe);
    return recipe;
  };
}

function describePreset(image: DeliverableImage, preset: Preset, recipeOf: RecipeOf): PresetDelivery {
  const { name, formats } = preset;
  const all = preset.densities.map((density): DeliverableVariant => {
    const recipes = Object.fromEntries(
      formats.map((format) => [format, recipeOf({ preset, format, density }, image.focalPoint)]),
    );
    return { density, recipes, ...findSize(image, preset, density, recipes) };
  });
  const variants = all.filter(
    ({ width, height }, index) =>
      width === null ||
      !all.slice(0, index).some((lower) => lower.width === width && lower.height === height),
  );
  return { preset: name, formats, variants };
}

/** Returns the size of a variant, from the size of the picture or from a rendition that exists. */
function findSize(
  { width, height, renditions }: DeliverableImage,
  preset: Preset,
  density: number,
  recipes: DeliverableVariant['recipes'],
): Pick<DeliverableVariant, 'width' | 'height'> {
  // All formats have the same size.
  const variant: Variant = { preset, format: 'jpeg', density };
  const size = width === null || height === null ? undefined : variantSize({ width, height }, variant);
  if (size) return size;
  // Padded to the whole box, regardless of the trimmed size.
  if (preset.fit === 'pad' && (density === 1 || preset.enlarge))
    return { width: preset.width * density, height: preset.height * density };
  const made = renditions.find(
    (rendition) =>
      rendition.preset === preset.name &&
      rendition.density === density &&
      rendition.recipe === recipes[rendition.format],
  );
  return { width: made?.width ?? null, height: made?.height ?? null };
}
