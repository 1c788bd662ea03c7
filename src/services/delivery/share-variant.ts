import type { SharableRendition, VariantQueries } from '../../db/renditions/variants.ts';
import { variantSize } from '../../imaging/renditions/composition.ts';
import type { Size } from '../../imaging/geometry.ts';
import type { ImageWithRenditions } from '../../model/image.ts';
import type { Rendition } from '../../model/rendition.ts';
import { renditionKey } from '../../storage/keys.ts';
import { type CurrentVariant, describeVariant } from './variants.ts';

interface Dependencies {
  readonly variants: Pick<VariantQueries, 'findSharable' | 'share'>;
}

/**
 * Uses a rendition that exists instead of making the variant: that of the image itself, which is made current again if it has been
 * superseded; of an image with the same content; or of the donor whose renditions the image already shares. Returns `undefined`
 * if no rendition is certain to have the same pixels.
 */
export type ShareVariant = (
  image: ImageWithRenditions,
  variant: CurrentVariant,
) => Promise<Rendition | undefined>;

/** @see ShareVariant */
export function makeShareVariant({ variants }: Dependencies): ShareVariant {
  return async (image, current) => {
    if (image.contentHash === null) return undefined;
    const { preset, format, density } = current.name;
    const storageKey = renditionKey(
      image.tenantId,
      image.contentHash,
      preset,
      current.recipe,
      format,
      density,
    );
    const file = { ...current.name, recipe: current.recipe, storageKey };
    const candidate = await variants.findSharable(image.id, file);
    if (!candidate || !(candidate.hasSameContent || hasSamePixels(image, current, candidate)))
      return undefined;
    if (candidate.imageId === image.id && !candidate.isSuperseded) return candidate;
    const { isListed } = describeVariant(current.variant);
    const shared = await variants.share(image.id, candidate, image.focalPoint, isListed);
    return typeof shared === 'string' ? undefined : shared[0];
  };
}

/**
 * Whether a rendition of the donor has the size that the image's own would have, and is no larger than the renditions whose
 * pixels were compared when the image began to share them.
 */
function hasSamePixels(
  image: ImageWithRenditions,
  { variant }: CurrentVariant,
  candidate: SharableRendition,
): boolean {
  const own = sizeFor(image, variant);
  const donors = sizeFor({ width: candidate.originalWidth, height: candidate.originalHeight }, variant);
  if (!own || !donors || own.width !== donors.width || own.height !== donors.height) return false;
  return image.renditions.some(
    ({ storageKey, width, height }) =>
      !storageKey.includes(image.contentHash ?? '') && width >= own.width && height >= own.height,
  );
}

function sizeFor(
  { width, height }: { readonly width: number | null; readonly height: number | null },
  variant: CurrentVariant['variant'],
): Size | undefined {
  return width === null || height === null ? undefined : variantSize({ width, height }, variant);
}
