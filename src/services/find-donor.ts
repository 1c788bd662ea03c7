import { AppError, FileMissing } from '../errors.ts';
import type { DecoderPool, DerivedPicture } from '../imaging/pool/decoder-pool.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { RenditionMatch } from '../model/rendition.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';
import { type PossibleDonor, possibleDonors } from './choose-donor.ts';
import type { NearMatch } from './find-near-duplicates.ts';

interface Dependencies {
  readonly decoders: Pick<DecoderPool, 'matchRenditions'>;
  readonly storage: Pick<Storage, 'localCopy'>;
  readonly logger: Logger;
}

type Donor = PossibleDonor<DerivedPicture['renditions'][number]>;

/** Result of the search for a donor. */
export interface DonorSearch {
  readonly donor: Donor | undefined;
  /** The given matches; those whose renditions differ include the position. */
  readonly matches: readonly NearMatch[];
}

/** A comparison costs as much as a small derivation; a tenant may have many similar pictures. */
const maxCompared = 4;

/**
 * Finds the near-duplicate whose renditions have the same pixels as the new ones, by comparing the renditions
 * themselves. Without evidence (a missing or damaged file, a comparison that takes too long), nothing is shared: an
 * extra rendition costs space, a wrong one shows another product.
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
    const differences = new Map<NearMatch, string>();
    const explained = () =>
      matches.map((match) => ({ ...match, reason: differences.get(match) ?? match.reason }));
    for (const donor of possibleDonors(matches, own).slice(0, maxCompared)) {
      const result = await compare(deps, job, donor, signal);
      if (result.verdict === 'same') return { donor, matches: explained() };
      if (result.verdict === 'different') differences.set(donor.match, reasonOf(result));
    }
    return { donor: undefined, matches: explained() };
  };
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
  const opened: LocalCopy[] = [];
  try {
    const files = [];
    for (const { own, lent } of pairs) {
      const copy = await storage.localCopy(lent.storageKey);
      opened.push(copy);
      const { preset, path, width, height } = own;
      files.push({ preset, path, width, height, storedPath: copy.path, storedSha256: lent.contentHash });
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
    await Promise.all(opened.map((copy) => copy.release()));
  }
}
