import type { VariantQueries } from '../../db/renditions/variants.ts';
import { AppError, asAppError } from '../../errors.ts';
import type { ImageWithRenditions } from '../../model/image.ts';
import { priorities } from '../../model/job.ts';
import type { Rendition } from '../../model/rendition.ts';
import type { Storage } from '../../storage/storage.ts';
import { runUnbound } from '../../tenant-scope.ts';
import { imageNotFound } from '../image-errors.ts';
import type { ClaimVariant } from './claim-variant.ts';
import { makeFlights } from './flights.ts';
import { isLasting, makeRecentFailures } from './recent-failures.ts';
import type { RenderQueue } from './render-queue.ts';
import type { RenderVariants } from './render-variants.ts';
import type { ShareVariant } from './share-variant.ts';
import type { CurrentVariant } from './variants.ts';

interface Dependencies {
  readonly variants: Pick<VariantQueries, 'findByRecipe'>;
  readonly storage: Pick<Storage, 'stat'>;
  readonly renderVariants: RenderVariants;
  readonly shareVariant: ShareVariant;
  readonly claimVariant: ClaimVariant;
  readonly queue: RenderQueue;
}

/** How to make a variant. */
export interface MakeOptions {
  /** Aborts the wait of this caller alone. */
  readonly signal?: AbortSignal | undefined;
  /** Whether to make the variant again because the file of its recorded rendition is missing or truncated. */
  readonly isRepair?: boolean;
}

/**
 * Makes a variant of an image on request and returns its rendition; `focal-point-changed` if the image's focal
 * point changed in the meantime, so that the variant is outdated. Concurrent calls for the same variant make it once, in one of
 * the processes.
 * @throws {AppError} why it cannot be made; `overloaded` if too many are waiting; `unavailable` if it takes too long. Errors
 *   that would recur are cached for a while.
 */
export type MakeVariant = (
  image: ImageWithRenditions,
  variant: CurrentVariant,
  options: MakeOptions,
) => Promise<Rendition | 'focal-point-changed'>;

/** Maximum number of attempts to make a variant whose file is removed before it can be recorded. */
const maxAttempts = 3;

/** @see MakeVariant */
export function makeMakeVariant(deps: Dependencies): MakeVariant {
  const flights = makeFlights<Rendition | 'focal-point-changed'>();
  const failures = makeRecentFailures();

  async function makeOnce(
    image: ImageWithRenditions,
    current: CurrentVariant,
    key: string,
    signal: AbortSignal,
    isRepair: boolean,
  ): Promise<Rendition | 'focal-point-changed'> {
    const shared = isRepair ? undefined : await deps.shareVariant(image, current);
    if (shared) return shared;
    const findDone = () => findMade(deps, image, current, isRepair);
    const variant = { imageId: image.id, ...current.name, recipe: current.recipe };
    try {
      const made = await deps.claimVariant(variant, signal, findDone, () =>
        deps.queue.run(image.tenantId, signal, () => render(deps, image, current)),
      );
      failures.remove(key);
      return made;
    } catch (error) {
      if (error instanceof AppError && isLasting(error)) failures.add(key, error);
      throw error;
    }
  }

  return (image, current, { signal, isRepair = false }) => {
    const { preset, format, density } = current.name;
    const key = `${image.id}/${preset}.${density}.${format}/${current.recipe}`;
    failures.assertNone(key);
    // Unbound, because callers of several tenants may share the result.
    return flights.join(key, signal, (flightSignal) =>
      runUnbound(() => makeOnce(image, current, key, flightSignal, isRepair)),
    );
  };
}

/** Returns the rendition if another process has made it. */
async function findMade(
  { variants, storage }: Dependencies,
  image: ImageWithRenditions,
  current: CurrentVariant,
  isRepair: boolean,
): Promise<Rendition | undefined> {
  const rendition = await variants.findByRecipe(image.id, current.name, current.recipe);
  if (!rendition || !isRepair) return rendition;
  const file = await storage.stat(rendition.storageKey);
  return file?.bytes === rendition.bytes ? rendition : undefined;
}

async function render(
  { renderVariants }: Dependencies,
  image: ImageWithRenditions,
  { variant }: CurrentVariant,
): Promise<Rendition | 'focal-point-changed'> {
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const recorded = await renderVariants({
      image,
      variants: [variant],
      priority: priorities.request,
      purpose: 'delivery',
    });
    if (recorded === 'focal-point-changed') return recorded;
    if (recorded === 'image-removed') throw imageNotFound({ uuid: image.uuid });
    if (typeof recorded !== 'string' && recorded[0]) return recorded[0];
  }
  throw asAppError(
    new Error(`The file of a rendition of image ${image.id} was removed ${maxAttempts} times.`),
  );
}
