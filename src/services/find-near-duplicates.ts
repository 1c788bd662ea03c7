import type { Config } from '../config.ts';
import type { VerdictQueries } from '../db/duplicates/verdicts.ts';
import type { FingerprintQueries, HashNeighbour } from '../db/images/fingerprints.ts';
import { compareThumbnails } from '../imaging/recognition/compare-thumbnails.ts';
import { type Fingerprint, hashDistance } from '../model/fingerprint.ts';
import type { NearDuplicate } from '../model/image.ts';
import type { Rendition } from '../model/rendition.ts';

interface Dependencies {
  readonly fingerprints: Pick<FingerprintQueries, 'findNeighbours'>;
  readonly verdicts: Pick<VerdictQueries, 'listAmong'>;
  readonly similarity: Pick<Config['similarity'], 'nearDuplicates' | 'hashThreshold'>;
}

/** A near-duplicate, with the tier that the search found, and the renditions that it could donate. */
export interface NearMatch extends NearDuplicate {
  readonly contentHash: string;
  readonly distance: number;
  readonly difference: number;
  /** Whether the near-duplicate's original has an alpha channel; `null` if unknown. */
  readonly hasAlpha: boolean | null;
  /** SHA-256 of the metadata that its renditions keep; `null` if it is unknown. */
  readonly keptMetadata: string | null;
  readonly renditions: readonly Rendition[];
}

/**
 * Minimum quality of a hash. Hashes of lower quality are not compared, because all plain pictures have similar hashes.
 */
const minQuality = 50;

/**
 * Finds a tenant's images that show nearly the same picture. Images with similar hashes are candidates. Their colour
 * thumbnails are then compared, because the same product in a different colour has the same hash.
 * @param excludedContentHash SHA-256 of the picture; images with this content are exact copies and are omitted
 */
export type FindNearDuplicates = (
  tenantId: number,
  fingerprint: Fingerprint,
  excludedContentHash: string,
  /** Ids of images to omit. */
  excludedImageIds?: readonly number[],
) => Promise<NearMatches>;

/** The result of a search for near-duplicates. */
export interface NearMatches {
  /** Nearest first. */
  readonly matches: readonly NearMatch[];
  /** Ids of all images with similar hashes, whether or not their thumbnails match. */
  readonly candidateIds: readonly number[];
}

/** @see FindNearDuplicates */
export function makeFindNearDuplicates({
  fingerprints,
  verdicts,
  similarity,
}: Dependencies): FindNearDuplicates {
  const { nearDuplicates, hashThreshold } = similarity;
  return async (tenantId, fingerprint, excludedContentHash, excludedImageIds = []) => {
    if (nearDuplicates === 'off' || fingerprint.quality < minQuality)
      return { matches: [], candidateIds: [] };
    // The threshold is configured for 64 bits, but a hash has 256 bits.
    const maxDifferingBits = hashThreshold * 4;
    const neighbours = await fingerprints.findNeighbours(
      tenantId,
      fingerprint,
      maxDifferingBits,
      excludedContentHash,
      excludedImageIds,
    );
    const matches = neighbours
      .flatMap((candidate) => matchCandidate(candidate, fingerprint))
      .toSorted((a, b) => a.distance - b.distance || a.difference - b.difference);
    const judgedMatches = await addVerdicts(verdicts, tenantId, excludedContentHash, matches);
    return { matches: judgedMatches, candidateIds: neighbours.map(({ id }) => id) };
  };
}

/** Adds what people decided about the picture and its matches. Pairs of verdict `different` stay in the list. */
async function addVerdicts(
  verdicts: Dependencies['verdicts'],
  tenantId: number,
  contentHash: string,
  matches: readonly NearMatch[],
): Promise<NearMatch[]> {
  if (matches.length === 0) return [];
  const hashes = matches.map((match) => match.contentHash);
  const verdictsByHash = await verdicts.listAmong(tenantId, contentHash, hashes);
  return matches.map((match) => ({ ...match, verdict: verdictsByHash.get(match.contentHash) ?? null }));
}

/** Returns a list of one match, or an empty list if the thumbnails differ. */
function matchCandidate(candidate: HashNeighbour, fingerprint: Fingerprint): NearMatch[] {
  const { id, uuid, contentHash, hasAlpha, keptMetadata, renditions } = candidate;
  const { isSamePicture, difference, reason } = compareThumbnails(candidate.fingerprint, fingerprint);
  const distance = hashDistance(candidate.fingerprint.hash, fingerprint.hash);
  return isSamePicture
    ? [
        {
          id,
          uuid,
          contentHash,
          tier: 'reencoded',
          verdict: null,
          distance,
          difference: Math.round(difference * 100) / 100,
          reason,
          hasAlpha,
          keptMetadata,
          renditions,
        },
      ]
    : [];
}
