import { differingBits, type Fingerprint } from '../model/fingerprint.ts';

/** What is remembered of a picture that was derived. */
interface DerivedPicture {
  readonly tenantId: number;
  readonly contentHash: string;
  readonly fingerprint: Pick<Fingerprint, 'frameHashes' | 'probes'>;
}

/** The pictures that were derived last, in order to tell whether a search has to be repeated. */
export interface RecentDerivations {
  /** Number of pictures that have been added. Pass it to `mayHaveMissed`. */
  readonly count: () => number;
  /** Adds a picture whose image has been completed. */
  readonly add: (picture: DerivedPicture) => void;
  /** Whether a search that began at `count` may have missed a near picture, because it was added later. */
  readonly mayHaveMissed: (picture: DerivedPicture, count: number) => boolean;
}

/** More pictures are hardly completed during one derivation. If they are, the search is repeated. */
const maxPictures = 64;

/**
 * Remembers derived pictures. Comparing the few that are derived at the same time takes a hundredth of the time of another search.
 * @param maxBits radius of the search, in bits of 256
 * @param isOnlyProcess whether no other process derives pictures. Otherwise, a search may always have missed one.
 */
export function makeRecentDerivations(maxBits: number, isOnlyProcess: boolean): RecentDerivations {
  const pictures: DerivedPicture[] = [];
  let added = 0;
  return {
    count: () => added,
    add(picture) {
      pictures.push(picture);
      added++;
      if (pictures.length > maxPictures) pictures.shift();
    },
    mayHaveMissed(picture, count) {
      const newCount = added - count;
      if (!isOnlyProcess || newCount > pictures.length) return true;
      return newCount > 0 && pictures.slice(-newCount).some((other) => isNear(picture, other, maxBits));
    },
  };
}

/** Whether a hash of `other` is near one of those with which `picture` is searched. */
function isNear(picture: DerivedPicture, other: DerivedPicture, maxBits: number): boolean {
  if (other.tenantId !== picture.tenantId || other.contentHash === picture.contentHash) return false;
  const { frameHashes, probes } = picture.fingerprint;
  return [...frameHashes, ...probes].some(({ frame, hash }) =>
    other.fingerprint.frameHashes.some(
      (stored) => stored.frame === frame && differingBits(stored.hash, hash) <= maxBits,
    ),
  );
}
