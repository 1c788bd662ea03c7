import { AppError, FileMissing } from '../errors.ts';
import type { Size } from '../imaging/geometry.ts';
import type { DecoderPool, DerivedPicture } from '../imaging/pool/decoder-pool.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { Rendition, RenditionMatch } from '../model/rendition.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';
import type { NearMatch } from './find-near-duplicates.ts';

interface Dependencies {
  readonly decoders: Pick<DecoderPool, 'matchRenditions'>;
  readonly storage: Pick<Storage, 'localCopy'>;
  readonly logger: Logger;
}

/** A new rendition of the image itself. */
type OwnRendition = Size & Pick<Rendition, 'preset' | 'recipe'>;

/** The image that needs renditions. */
export interface OwnPicture<Own extends OwnRendition> {
  readonly imageId: number;
  readonly hasAlpha: boolean;
  readonly renditions: readonly Own[];
}

/** A rendition of the image, and the donor's rendition that could replace it. */
export interface SharablePair<Own extends OwnRendition> {
  readonly own: Own;
  readonly donated: Rendition;
}

/** A near-duplicate that could provide all renditions of an image, if the pixels are the same. */
export interface PossibleDonor<Own extends OwnRendition> {
  readonly match: NearMatch;
  readonly pairs: readonly SharablePair<Own>[];
}

type Donor = PossibleDonor<DerivedPicture['renditions'][number]>;

/** The result of the search for a donor. */
export interface DonorSearch {
  readonly donor: Donor | undefined;
  /** The given matches. The reason of those whose renditions differ says where they differ. */
  readonly matches: readonly NearMatch[];
}

/** A comparison costs as much as a small derivation, and a tenant may have many similar pictures. */
const maxCompared = 4;

/**
 * Finds a near-duplicate whose renditions have the same pixels as the new ones. Compares the renditions themselves. If
 * that fails or takes too long, nothing is shared: an additional rendition costs space, but a wrong one shows another
 * product.
 */
export type FindDonor = (
  job: ClaimedJob,
  derived: DerivedPicture,
  matches: readonly NearMatch[],
  signal: AbortSignal,
) => Promise<DonorSearch>;

/** @see FindDonor */
export function makeFindDonor(deps: Dependencies): FindDonor {
  return async (job, derived, matches, signal) => {
    const { renditions, facts } = derived;
    const own = { imageId: job.imageId, hasAlpha: facts.hasAlpha, renditions };
    const reasons = new Map<NearMatch, string>();
    const withReasons = () =>
      matches.map((match) => ({ ...match, reason: reasons.get(match) ?? match.reason }));
    for (const donor of possibleDonors(matches, own).slice(0, maxCompared)) {
      const result = await compare(deps, job, donor, signal);
      if (result.verdict === 'same') return { donor, matches: withReasons() };
      if (result.verdict === 'different') reasons.set(donor.match, reasonOf(result));
    }
    return { donor: undefined, matches: withReasons() };
  };
}

/** Sizes of the same rendition may differ by this many pixels, because of rounding. */
const tolerance = 1;

/**
 * Returns the near-duplicates that could provide all renditions of an image, according to their records: same recipes
 * and sizes, and an original that has an alpha channel if and only if the image's own has. Compares no pixels.
 */
export function possibleDonors<Own extends OwnRendition>(
  matches: readonly NearMatch[],
  { imageId, hasAlpha, renditions }: OwnPicture<Own>,
): PossibleDonor<Own>[] {
  return matches.flatMap((match) => {
    // Only older images: if two images used each other's renditions, neither would have files.
    if (match.id >= imageId || match.hasAlpha !== hasAlpha) return [];
    const pairs = renditions.flatMap((own) => {
      const donated = match.renditions.find((rendition) => replaces(rendition, own));
      return donated ? [{ own, donated }] : [];
    });
    return pairs.length > 0 && pairs.length === renditions.length ? [{ match, pairs }] : [];
  });
}

function replaces(donated: Rendition, own: OwnRendition): boolean {
  return (
    donated.preset === own.preset &&
    donated.recipe === own.recipe &&
    Math.abs(donated.width - own.width) <= tolerance &&
    Math.abs(donated.height - own.height) <= tolerance
  );
}

function reasonOf({ channel, left, top }: RenditionMatch & { verdict: 'different' }): string {
  return `alike as a whole, but the ${channel} differs ${left} % from the left and ${top} % from the top`;
}

async function compare(
  { decoders, storage, logger }: Dependencies,
  { imageId, priority, tenantId: tenant }: ClaimedJob,
  { match, pairs }: Donor,
  signal: AbortSignal,
): Promise<RenditionMatch> {
  const copies: LocalCopy[] = [];
  try {
    const files = [];
    for (const { own, donated } of pairs) {
      const copy = await storage.localCopy(donated.storageKey);
      copies.push(copy);
      const { preset, path, width, height } = own;
      files.push({ preset, path, width, height, storedPath: copy.path, storedSha256: donated.contentHash });
    }
    return await decoders.matchRenditions({ pairs: files, priority, tenant, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError || error instanceof FileMissing)) throw error;
    logger.warn(
      { image: imageId, donor: match.id, err: error },
      `image ${imageId} shares nothing with image ${match.id}: their renditions could not be compared`,
    );
    return { verdict: 'unknown' };
  } finally {
    await Promise.all(copies.map((copy) => copy.release()));
  }
}
