import type { FingerprintQueries } from '../db/images/fingerprints.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { DerivedFacts } from '../db/jobs/complete.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError, FileMissing } from '../errors.ts';
import type { DecoderPool, DerivedPicture } from '../imaging/pool/decoder-pool.ts';
import type { NearDuplicateHandling } from '../model/duplicates.ts';
import type { Fingerprint } from '../model/fingerprint.ts';
import type { ImageWithRenditions, NearDuplicate } from '../model/image.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Preset } from '../model/preset.ts';
import type { NewRendition } from '../model/rendition.ts';
import { renditionKey } from '../storage/keys.ts';
import type { Staging } from '../storage/staging.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';
import type { DonorSearch, FindDonor } from './find-donor.ts';
import type { FindNearDuplicates, NearMatch } from './find-near-duplicates.ts';
import { atStage } from './stages.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'markDamaged'>;
  readonly jobs: Pick<JobQueries, 'complete' | 'completeSharing'>;
  readonly fingerprints: Pick<FingerprintQueries, 'addNearDuplicates'>;
  readonly findNearDuplicates: FindNearDuplicates;
  readonly findDonor: FindDonor;
  readonly nearDuplicates: NearDuplicateHandling;
  readonly storage: Storage;
  readonly staging: Staging;
  readonly decoders: Pick<DecoderPool, 'derive'>;
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/** The finished image, or why nothing was written: the image is gone, or another worker holds the job. */
export type DerivationOutcome = ImageWithRenditions | 'image-gone' | 'lease-lost';

/**
 * Makes the renditions and the fingerprints of an image: decode once, store the files, then one commit that shows all.
 * @param localPath the original on this machine, when the caller has it at hand.
 */
export type DeriveImage = (
  job: ClaimedJob,
  signal: AbortSignal,
  localPath?: string,
) => Promise<DerivationOutcome>;

/** @see DeriveImage */
export function makeDeriveImage(deps: Dependencies): DeriveImage {
  return async (job, signal, localPath) => {
    const { original } = job;
    if (!original) return 'image-gone';
    const derived = await atStage('decode', () => decode(deps, job, original.key, signal, localPath));
    return finish(deps, job, original.contentHash, derived, signal);
  };
}

async function decode(
  deps: Dependencies,
  job: ClaimedJob,
  key: string,
  signal: AbortSignal,
  localPath?: string,
): Promise<DerivedPicture> {
  const copy = localPath === undefined ? await openOriginal(deps, job, key) : undefined;
  try {
    return await deps.decoders.derive({
      path: localPath ?? copy?.path ?? '',
      limits: deps.limits,
      presets: deps.presets,
      outputDirectory: deps.staging.directory,
      priority: job.priority,
      tenant: job.tenantId,
      signal,
    });
  } finally {
    await copy?.release();
  }
}

/** A missing original is damage: the row is marked and stays. */
async function openOriginal(
  { storage, images }: Dependencies,
  job: ClaimedJob,
  key: string,
): Promise<LocalCopy> {
  try {
    return await storage.localCopy(key);
  } catch (error) {
    if (!(error instanceof FileMissing)) throw error;
    await images.markDamaged(job.imageId);
    throw new AppError('original_missing', error.message, { cause: error });
  }
}

/** Records what was derived; files that are not stored are discarded, whatever happens. */
async function finish(
  deps: Dependencies,
  job: ClaimedJob,
  contentHash: string,
  derived: DerivedPicture,
  signal: AbortSignal,
): Promise<DerivationOutcome> {
  const { jobs, staging } = deps;
  let isStored = false;
  try {
    const near = await deps.findNearDuplicates(job.tenantId, derived.fingerprint, contentHash);
    const { donor, matches } = await findDonorIfWanted(deps, job, derived, near.matches, signal);
    const facts = factsOf(derived, matches);
    const shared = donor && (await shareRenditions(deps, job, donor, facts));
    if (typeof shared === 'string') return shared;
    if (shared) return await lookAgain(deps, shared, derived.fingerprint, near.proposed);
    const renditions = await atStage('store', () => storeRenditions(deps, job, contentHash, derived));
    isStored = true;
    const image = await jobs.complete(job, renditions, facts);
    return image ? await lookAgain(deps, image, derived.fingerprint, near.proposed) : 'lease-lost';
  } finally {
    // Storing moves files, so that nothing is left behind.
    if (!isStored) await Promise.all(derived.renditions.map(({ path }) => staging.discard(path)));
  }
}

/**
 * Two near-duplicates that are derived at the same moment do not see each other before they are recorded. Each looks once
 * more afterwards, and whichever was recorded last finds the other.
 */
async function lookAgain(
  { findNearDuplicates, fingerprints }: Dependencies,
  image: ImageWithRenditions,
  fingerprint: Fingerprint,
  proposed: readonly number[],
): Promise<ImageWithRenditions> {
  const { matches } = await findNearDuplicates(
    image.tenantId,
    fingerprint,
    image.contentHash ?? '',
    proposed,
  );
  if (matches.length === 0) return image;
  const late = matches.map(withoutRenditions);
  await fingerprints.addNearDuplicates(image.id, late);
  return { ...image, nearDuplicates: [...image.nearDuplicates, ...late] };
}

function withoutRenditions({ renditions: _lent, hasAlpha: _alpha, ...match }: NearMatch): NearDuplicate {
  return match;
}

function factsOf({ fingerprint, embedding }: DerivedPicture, matches: readonly NearMatch[]): DerivedFacts {
  return {
    fingerprint,
    embedding,
    nearDuplicates: matches.map(withoutRenditions),
  };
}

/** A repeated derivation never shares: the donor's files may be the ones that are missing. */
async function findDonorIfWanted(
  { findDonor, nearDuplicates }: Dependencies,
  job: ClaimedJob,
  derived: DerivedPicture,
  matches: readonly NearMatch[],
  signal: AbortSignal,
): Promise<DonorSearch> {
  if (nearDuplicates !== 'reuse' || !job.isFirstRun) return { donor: undefined, matches };
  return findDonor(job, derived, matches, signal);
}

/**
 * Records a near-duplicate's renditions for the image; `undefined` if that near-duplicate was deleted or changed
 * meanwhile.
 */
async function shareRenditions(
  { jobs }: Dependencies,
  job: ClaimedJob,
  { match, pairs }: NonNullable<DonorSearch['donor']>,
  facts: DerivedFacts,
): Promise<DerivationOutcome | undefined> {
  const compared = pairs.map(({ lent: { preset, storageKey, contentHash } }) => ({
    preset,
    storageKey,
    contentHash,
  }));
  const shared = await jobs.completeSharing(job, match.id, compared, facts);
  return shared === 'donor-unavailable' ? undefined : (shared ?? 'lease-lost');
}

async function storeRenditions(
  { storage, presets }: Dependencies,
  job: ClaimedJob,
  contentHash: string,
  derived: DerivedPicture,
): Promise<NewRendition[]> {
  const qualities = new Map(presets.map((preset) => [preset.name, preset.quality]));
  const stored = derived.renditions.map(({ sha256, path, ...made }) => ({
    path,
    key: renditionKey(job.tenantId, contentHash, made.preset, made.recipe),
    made: { ...made, contentHash: sha256, quality: qualities.get(made.preset) ?? 0, format: 'jpeg' as const },
  }));
  await storage.store(stored, 'derived');
  return stored.map(({ key, made }) => ({ ...made, storageKey: key }));
}
