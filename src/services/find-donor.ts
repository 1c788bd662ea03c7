import { AppError, FileMissing } from '../errors.ts';
import type { Size } from '../imaging/geometry.ts';
import type { DecoderPool, DerivedPicture } from '../imaging/pool/decoder-pool.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import { isSameVariant, type Rendition, type RenditionMatch } from '../model/rendition.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';
import type { NearMatch } from './find-near-duplicates.ts';

interface Dependencies {
  readonly decoders: Pick<DecoderPool, 'matchRenditions'>;
  readonly storage: Pick<Storage, 'localCopy'>;
  readonly logger: Logger;
}

/** A new rendition that was derived from the image's own original. */
type OwnRendition = Size & Pick<Rendition, 'preset' | 'format' | 'density' | 'recipe'>;

/** An image that may share a donor's renditions instead of storing its own. */
export interface SharingImage<Own extends OwnRendition> {
  readonly imageId: number;
  readonly hasAlpha: boolean;
  /** SHA-256 of the metadata that renditions keep. */
  readonly keptMetadata: string;
  readonly renditions: readonly Own[];
}

/** A rendition of the image and the donor's rendition that could replace it. */
export interface SharablePair<Own extends OwnRendition> {
  readonly ownRendition: Own;
  readonly donorRendition: Rendition;
}

/** A near-duplicate that could donate all of an image's renditions, if the pixels are the same. */
export interface PossibleDonor<Own extends OwnRendition> {
  readonly match: NearMatch;
  readonly pairs: readonly SharablePair<Own>[];
}

type Donor = PossibleDonor<DerivedPicture['renditions'][number]>;

/** The result of the search for a donor. */
export interface DonorSearch {
  readonly donor: Donor | undefined;
  /** The matches that were passed in. If a match has different renditions, its reason describes where they differ. */
  readonly matches: readonly NearMatch[];
}

/**
 * Maximum number of near-duplicates to compare. Each comparison costs as much as a small derivation, and a tenant may
 * have many similar pictures.
 */
const maxComparisons = 4;

/**
 * Finds a donor: a near-duplicate whose renditions differ from the new renditions only because of re-encoding. If the
 * comparison fails or takes too long, nothing is shared: an extra rendition only costs space, but a wrong rendition
 * shows the wrong product.
 */
export type FindDonor = (
  job: ClaimedJob,
  derivedPicture: DerivedPicture,
  matches: readonly NearMatch[],
  signal: AbortSignal,
) => Promise<DonorSearch>;

/** @see FindDonor */
export function makeFindDonor(deps: Dependencies): FindDonor {
  return async (job, derivedPicture, matches, signal) => {
    const { renditions, facts, keptMetadata } = derivedPicture;
    const sharingImage = { imageId: job.imageId, hasAlpha: facts.hasAlpha, keptMetadata, renditions };
    const reasonsByMatch = new Map<NearMatch, string>();
    const addReasons = () =>
      matches.map((match) => ({ ...match, reason: reasonsByMatch.get(match) ?? match.reason }));
    for (const donor of findPossibleDonors(matches, sharingImage).slice(0, maxComparisons)) {
      const result = await compare(deps, job, donor, signal);
      if (result.verdict === 'same') return { donor, matches: addReasons() };
      if (result.verdict === 'different') reasonsByMatch.set(donor.match, describeDifference(result));
    }
    return { donor: undefined, matches: addReasons() };
  };
}

/** Number of pixels by which the widths and the heights of matching renditions may differ because of rounding. */
const sizeTolerance = 1;

/**
 * Returns the near-duplicates whose database records allow them to donate all renditions of an image: the recipes and
 * sizes match, the originals have the same metadata for renditions to keep, and either both have an alpha channel or neither
 * has. Does not compare pixels.
 */
export function findPossibleDonors<Own extends OwnRendition>(
  matches: readonly NearMatch[],
  { imageId, hasAlpha, keptMetadata, renditions }: SharingImage<Own>,
): PossibleDonor<Own>[] {
  return matches.flatMap((match) => {
    // The person has seen a difference that the comparison may take for noise.
    if (match.tier !== 'identical' && match.tier !== 'reencoded') return [];
    if (match.verdict === 'different' || match.verdict === 'variant') return [];
    // A donor must be older than the image. If two images used each other's renditions, neither would have files.
    if (match.id >= imageId || match.hasAlpha !== hasAlpha || match.keptMetadata !== keptMetadata) return [];
    const pairs = renditions.flatMap((ownRendition) => {
      const donorRendition = match.renditions.find((rendition) => canReplace(rendition, ownRendition));
      return donorRendition ? [{ ownRendition, donorRendition }] : [];
    });
    return pairs.length > 0 && pairs.length === renditions.length ? [{ match, pairs }] : [];
  });
}

function canReplace(donorRendition: Rendition, ownRendition: OwnRendition): boolean {
  return (
    isSameVariant(donorRendition, ownRendition) &&
    donorRendition.recipe === ownRendition.recipe &&
    Math.abs(donorRendition.width - ownRendition.width) <= sizeTolerance &&
    Math.abs(donorRendition.height - ownRendition.height) <= sizeTolerance
  );
}

function describeDifference({ channel, left, top }: RenditionMatch & { verdict: 'different' }): string {
  return `similar overall, but the ${channel} differs at ${left} % from the left and ${top} % from the top`;
}

async function compare(
  { decoders, storage, logger }: Dependencies,
  { imageId, priority, tenantId: tenant }: ClaimedJob,
  { match, pairs }: Donor,
  signal: AbortSignal,
): Promise<RenditionMatch> {
  const copies: LocalCopy[] = [];
  try {
    const filePairs = [];
    for (const { ownRendition, donorRendition } of pairs) {
      const copy = await storage.localCopy(donorRendition.storageKey);
      copies.push(copy);
      const { preset, path, width, height } = ownRendition;
      filePairs.push({
        preset,
        path,
        width,
        height,
        storedPath: copy.path,
        storedSha256: donorRendition.contentHash,
      });
    }
    return await decoders.matchRenditions({ pairs: filePairs, priority, tenant, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError || error instanceof FileMissing)) throw error;
    logger.warn(
      { image: imageId, donor: match.id, err: error },
      `failed to compare the renditions of image ${imageId} with those of image ${match.id}; no renditions are shared`,
    );
    return { verdict: 'unknown' };
  } finally {
    await Promise.all(copies.map((copy) => copy.release()));
  }
}
