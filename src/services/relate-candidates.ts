import type { HashNeighbour } from '../db/images/fingerprints.ts';
import { AppError, FileMissing } from '../errors.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { Logger } from '../model/logger.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Relation } from '../model/relation.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';

interface Dependencies {
  readonly decoders: Pick<DecoderPool, 'relate'>;
  readonly storage: Pick<Storage, 'localCopy'>;
  readonly limits: PictureLimits;
  readonly logger: Logger;
}

/** A picture as a local file, and how its comparison is scheduled. */
export interface LocalPicture {
  readonly path: string;
  readonly tenantId: number;
  readonly priority: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compares a picture with the originals of some images, in a decoder child. Returns the relation of each image, or `null`
 * if they do not show the same. If the comparison fails or takes too long, no image is related: the picture itself can still
 * be used.
 */
export type RelateCandidates = (
  picture: LocalPicture,
  candidates: readonly HashNeighbour[],
) => Promise<ReadonlyMap<HashNeighbour, Relation | null>>;

/** @see RelateCandidates */
export function makeRelateCandidates(deps: Dependencies): RelateCandidates {
  const { decoders, limits, logger } = deps;
  return async ({ path, tenantId, priority, signal }, candidates) => {
    const copies = await openOriginals(deps.storage, candidates);
    try {
      if (copies.length === 0) return new Map();
      const others = copies.map(({ candidate, copy }) => ({ name: String(candidate.id), path: copy.path }));
      const { relations } = await decoders.relate({
        path,
        limits,
        others,
        priority,
        tenant: tenantId,
        ...(signal && { signal }),
      });
      return new Map(copies.map(({ candidate }, index) => [candidate, relations[index] ?? null]));
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      logger.warn({ err: error }, 'failed to compare a picture with possible near-duplicates');
      return new Map();
    } finally {
      await Promise.all(copies.map(({ copy }) => copy.release()));
    }
  };
}

/** Leaves out images whose original is missing. A request for the file itself reports and repairs the problem. */
async function openOriginals(
  storage: Dependencies['storage'],
  candidates: readonly HashNeighbour[],
): Promise<{ readonly candidate: HashNeighbour; readonly copy: LocalCopy }[]> {
  const copies: { readonly candidate: HashNeighbour; readonly copy: LocalCopy }[] = [];
  try {
    for (const candidate of candidates) {
      const copy =
        candidate.originalKey === null ? undefined : await openIfStored(storage, candidate.originalKey);
      if (copy) copies.push({ candidate, copy });
    }
    return copies;
  } catch (error) {
    await Promise.all(copies.map(({ copy }) => copy.release()));
    throw error;
  }
}

async function openIfStored(storage: Dependencies['storage'], key: string): Promise<LocalCopy | undefined> {
  try {
    return await storage.localCopy(key);
  } catch (error) {
    if (error instanceof FileMissing) return undefined;
    throw error;
  }
}
