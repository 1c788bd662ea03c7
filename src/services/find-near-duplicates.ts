import type { FingerprintQueries, HashNeighbour } from '../db/images/fingerprints.ts';
import { compareThumbnails } from '../imaging/recognition/compare-thumbnails.ts';
import type { NearDuplicateHandling } from '../model/duplicates.ts';
import { type Fingerprint, hashDistance } from '../model/fingerprint.ts';
import type { NearDuplicate } from '../model/image.ts';
import type { Rendition } from '../model/rendition.ts';

interface Dependencies {
  readonly fingerprints: Pick<FingerprintQueries, 'neighbours'>;
  readonly handling: NearDuplicateHandling;
  /** Largest distance of the hashes, of 64 bits. */
  readonly threshold: number;
}

/** A near-duplicate with what it could lend. */
export interface NearMatch extends NearDuplicate {
  /** Whether its original has an alpha channel. */
  readonly hasAlpha: boolean | null;
  readonly renditions: readonly Rendition[];
}

/** A hash of a picture with less structure stands for any plain picture, and proposes nothing. */
const minQuality = 50;

/**
 * Finds images of a tenant that show nearly the same picture, nearest first: hashes find candidates, a comparison of
 * thumbnails in colour decides, because a product in another colour has the same hash. Images with the content
 * `exceptContent` are no near-duplicates: they are exact copies.
 */
export type FindNearDuplicates = (
  tenantId: number,
  fingerprint: Fingerprint,
  exceptContent: string,
  /** Images that were looked at before. */
  exceptImages?: readonly number[],
) => Promise<NearMatches>;

/** What a look for near-duplicates gave. */
export interface NearMatches {
  /** Nearest first. */
  readonly matches: readonly NearMatch[];
  /** Images whose hashes were near, also those that the comparison turned down. */
  readonly proposed: readonly number[];
}

/** @see FindNearDuplicates */
export function makeFindNearDuplicates({
  fingerprints,
  handling,
  threshold,
}: Dependencies): FindNearDuplicates {
  return async (tenantId, fingerprint, exceptContent, exceptImages = []) => {
    if (handling === 'off' || fingerprint.quality < minQuality) return { matches: [], proposed: [] };
    const bits = threshold * 4;
    const found = await fingerprints.neighbours(tenantId, fingerprint, bits, exceptContent, exceptImages);
    const matches = found
      .flatMap((candidate) => judge(candidate, fingerprint))
      .toSorted((a, b) => a.distance - b.distance || a.difference - b.difference);
    return { matches, proposed: found.map(({ id }) => id) };
  };
}

function judge(candidate: HashNeighbour, fingerprint: Fingerprint): NearMatch[] {
  const { id, uuid, hasAlpha, renditions } = candidate;
  const { same, difference, reason } = compareThumbnails(candidate.fingerprint, fingerprint);
  const distance = hashDistance(candidate.fingerprint.hash, fingerprint.hash);
  return same
    ? [{ id, uuid, distance, difference: Math.round(difference * 100) / 100, reason, hasAlpha, renditions }]
    : [];
}
