import type { ImageQueries } from '../../db/images/images.ts';
import type { VariantQueries } from '../../db/renditions/variants.ts';
import { AppError } from '../../errors.ts';
import type { ImageRef, ImageWithRenditions } from '../../model/image.ts';
import type { Preset, Variant } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import { isSameVariant, type Rendition, type VariantName } from '../../model/rendition.ts';
import { imageNotFound, noRendition } from '../image-errors.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import type { MakeVariant } from './make-variant.ts';
import { type CurrentVariant, toCurrentVariant, unknownRecipe, unknownVariant } from './variants.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find'>;
  readonly variants: Pick<VariantQueries, 'findByRecipe'>;
  readonly presets: Pick<PresetsInForce, 'list' | 'find' | 'forRendering'>;
  readonly makeVariant: MakeVariant;
}

/** Which rendition of an image to find. */
export interface RenditionRequest {
  readonly name: VariantName;
  /** If set, only a rendition with this recipe is returned. */
  readonly recipe?: string | undefined;
  /** Returns the variant that a preset yields under this name; `undefined` if it does not offer it. */
  readonly choose: (preset: Preset | undefined) => Variant | undefined;
}

/** A rendition that exists. */
export interface FoundRendition {
  readonly image: ImageWithRenditions;
  readonly rendition: Rendition;
  /** Whether its recipe is the current one, according to the presets in force and the image's focal point. */
  readonly isCurrent: boolean;
  /** Makes its file again. @throws {AppError} if that is not possible. */
  readonly repair: () => Promise<Rendition>;
}

/**
 * Finds a rendition, or makes it if it does not exist. If it cannot be made, falls back to an outdated one, unless a recipe is
 * requested.
 * @throws {AppError} `image_not_found`, `unknown_variant`, `rendition_not_ready`; the errors of `MakeVariant`.
 */
export type LoadRendition = (
  principal: Principal,
  imageRef: ImageRef,
  request: RenditionRequest,
  signal?: AbortSignal,
) => Promise<FoundRendition>;

/** Maximum number of attempts to make a variant of an image that changes in the meantime. */
const maxAttempts = 3;

/** @see LoadRendition */
export function makeLoadRendition(deps: Dependencies): LoadRendition {
  const { images, presets } = deps;
  return async (principal, imageRef, request, signal) => {
    for (let attempt = 1; ; attempt++) {
      const image = await images.find(principal, imageRef);
      if (!image) throw imageNotFound(imageRef);
      const variant = request.choose(presets.find(request.name.preset));
      const current = variant && toCurrentVariant(variant, image);
      if (request.recipe !== undefined && request.recipe !== current?.recipe)
        return findFormer(deps, image, request, request.recipe);
      if (!current) return findWithoutPreset(deps, image, request);
      const found = await findOrMake(deps, image, current, request, signal);
      if (found !== 'focal-point-changed') return found;
      if (attempt === maxAttempts) throw noRendition(image, request.name.preset);
    }
  };
}

async function findOrMake(
  deps: Dependencies,
  image: ImageWithRenditions,
  current: CurrentVariant,
  request: RenditionRequest,
  signal: AbortSignal | undefined,
): Promise<FoundRendition | 'focal-point-changed'> {
  const candidate = image.renditions.find((rendition) => isSameVariant(rendition, current.name));
  if (candidate?.recipe === current.recipe) return toFound(deps, image, candidate, current);
  const isReplaceable = candidate !== undefined && request.recipe === undefined;
  if (image.status !== 'completed') {
    const superseded = await deps.variants.findByRecipe(image.id, current.name, current.recipe);
    if (superseded) return toFound(deps, image, superseded, current);
    if (isReplaceable) return toFound(deps, image, candidate);
    throw noRendition(image, current.name.preset);
  }
  try {
    const made = await makeInForce(deps, image, request, signal);
    return made === 'focal-point-changed' ? made : toFound(deps, image, made.rendition, made.current);
  } catch (error) {
    if (isReplaceable && error instanceof AppError && error.code !== 'image_not_found')
      return toFound(deps, image, candidate);
    throw error;
  }
}

/** Makes the variant according to the presets in force, which may have changed since this process last read them. */
async function makeInForce(
  { presets, makeVariant }: Dependencies,
  image: ImageWithRenditions,
  request: RenditionRequest,
  signal: AbortSignal | undefined,
): Promise<{ readonly rendition: Rendition; readonly current: CurrentVariant } | 'focal-point-changed'> {
  const list = await presets.forRendering();
  const variant = request.choose(list.find(({ name }) => name === request.name.preset));
  if (!variant) throw unknownVariant(list, request.name);
  const current = toCurrentVariant(variant, image);
  if (request.recipe !== undefined && request.recipe !== current.recipe)
    throw unknownRecipe(request.name, request.recipe);
  const rendition = await makeVariant(image, current, { signal });
  return rendition === 'focal-point-changed' ? rendition : { rendition, current };
}

/** Finds a rendition whose recipe is not the current one. */
async function findFormer(
  deps: Dependencies,
  image: ImageWithRenditions,
  { name }: RenditionRequest,
  recipe: string,
): Promise<FoundRendition> {
  const rendition = await deps.variants.findByRecipe(image.id, name, recipe);
  if (!rendition) throw unknownRecipe(name, recipe);
  return toFound(deps, image, rendition);
}

/** Finds a rendition of a preset that no longer exists. */
function findWithoutPreset(
  deps: Dependencies,
  image: ImageWithRenditions,
  { name }: RenditionRequest,
): FoundRendition {
  const isFormer = deps.presets.find(name.preset) === undefined;
  const rendition = image.renditions.find((candidate) => isFormer && isSameVariant(candidate, name));
  if (!rendition) throw unknownVariant(deps.presets.list(), name);
  return toFound(deps, image, rendition);
}

/** @param current the variant; without it, the rendition cannot be made again */
function toFound(
  { makeVariant }: Dependencies,
  image: ImageWithRenditions,
  rendition: Rendition,
  current?: CurrentVariant,
): FoundRendition {
  return {
    image,
    rendition,
    isCurrent: current !== undefined,
    async repair() {
      if (!current) throw unknownRecipe(rendition, rendition.recipe);
      const made = await makeVariant(image, current, { isRepair: true });
      if (made === 'focal-point-changed') throw noRendition(image, rendition.preset);
      return made;
    },
  };
}
