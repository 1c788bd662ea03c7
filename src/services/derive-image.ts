import type { FingerprintQueries } from '../db/images/fingerprints.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { DerivedFacts } from '../db/jobs/complete.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { DecoderPool, DerivedPicture } from '../imaging/pool/decoder-pool.ts';
import { showPairs } from '../model/duplicates.ts';
import type { ImageWithRenditions, NearDuplicate, NearDuplicatePolicy } from '../model/image.ts';
import type { Violation } from '../model/intake-rules.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { PictureLimits } from '../model/picture.ts';
import { eagerVariants, type Variant } from '../model/preset.ts';
import type { NewRendition } from '../model/rendition.ts';
import { renditionKey } from '../storage/keys.ts';
import type { Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { DonorSearch, FindDonor } from './find-donor.ts';
import type { FindNearDuplicates, NearMatch, SearchedPicture } from './find-near-duplicates.ts';
import { describeVariant } from './delivery/variants.ts';
import { atStage } from './job-failures.ts';
import type { JudgePicture } from './judge-picture.ts';
import { openOriginal } from './open-original.ts';
import type { PresetsInForce } from './presets-in-force.ts';
import type { RecentDerivations } from './recent-derivations.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'markDamaged'>;
  readonly jobs: Pick<JobQueries, 'complete' | 'completeWithSharedRenditions'>;
  readonly fingerprints: Pick<FingerprintQueries, 'addNearDuplicates'>;
  readonly findNearDuplicates: FindNearDuplicates;
  readonly recentDerivations: RecentDerivations;
  readonly findDonor: FindDonor;
  readonly judgePicture: JudgePicture;
  readonly nearDuplicates: NearDuplicatePolicy;
  readonly storage: Pick<Storage, 'localCopy' | 'store'>;
  readonly staging: Pick<Staging, 'directory' | 'discard'>;
  readonly decoders: Pick<DecoderPool, 'derive'>;
  readonly limits: PictureLimits;
  readonly presets: Pick<PresetsInForce, 'forRendering'>;
  readonly metrics: Pick<Metrics, 'recordRendition'>;
}

/** The finished image, or why nothing was recorded: the image was removed, or another worker has the lease. */
export type DerivationOutcome = ImageWithRenditions | 'image-removed' | 'lease-lost';

/**
 * Creates an image's renditions and fingerprint. Decodes the original once, stores the renditions, and then records
 * everything in one transaction.
 * @param localPath path of the original on this machine, if available
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
    if (!original) return 'image-removed';
    const variants = (await deps.presets.forRendering()).flatMap(eagerVariants);
    const copy = localPath === undefined ? await openOriginal(deps, job.imageId, original.key) : undefined;
    const path = localPath ?? copy?.path ?? '';
    try {
      const derivedPicture = await atStage('decode', () => decode(deps, job, path, variants, signal));
      for (const { preset, format } of derivedPicture.renditions)
        deps.metrics.recordRendition({ preset, format });
      const picture = {
        path,
        tenantId: job.tenantId,
        priority: job.priority,
        signal,
        fingerprint: derivedPicture.fingerprint,
        contentHash: original.contentHash,
      };
      return await storeOrShareRenditions(deps, job, picture, variants, derivedPicture, signal);
    } finally {
      await copy?.release();
    }
  };
}

function decode(
  { decoders, limits, staging }: Dependencies,
  { focalPoint, priority, tenantId }: ClaimedJob,
  path: string,
  variants: readonly Variant[],
  signal: AbortSignal,
): Promise<DerivedPicture> {
  return decoders.derive({
    path,
    limits,
    variants,
    focalPoint,
    outputDirectory: staging.directory,
    priority,
    tenant: tenantId,
    signal,
  });
}

/**
 * If there is a donor (a near-duplicate with the same renditions), records the donor's renditions for the image.
 * Otherwise, stores and records the new renditions. Discards new renditions that are not stored.
 */
async function storeOrShareRenditions(
  deps: Dependencies,
  job: ClaimedJob,
  picture: SearchedPicture,
  variants: readonly Variant[],
  derivedPicture: DerivedPicture,
  signal: AbortSignal,
): Promise<DerivationOutcome> {
  const { jobs, staging } = deps;
  let isStored = false;
  try {
    const warnings = await atStage('inspect', () => deps.judgePicture(job, derivedPicture.intakeFacts));
    const searchedAt = deps.recentDerivations.count();
    const nearMatches = await deps.findNearDuplicates(picture);
    const firstSearch = { searchedAt, candidateIds: nearMatches.candidateIds };
    const { donor, matches } = await findDonorIfAllowed(
      deps,
      job,
      derivedPicture,
      nearMatches.matches,
      signal,
    );
    const facts = toDerivedFacts(derivedPicture, matches, warnings);
    const sharingOutcome = donor && (await shareRenditions(deps, job, donor, facts));
    if (typeof sharingOutcome === 'string') return sharingOutcome;
    if (sharingOutcome) return await addLateMatches(deps, sharingOutcome, picture, firstSearch);
    const renditions = await atStage('store', () =>
      storeRenditions(deps, job, picture.contentHash, variants, derivedPicture),
    );
    isStored = true;
    const image = await jobs.complete(job, renditions, facts);
    return image ? await addLateMatches(deps, image, picture, firstSearch) : 'lease-lost';
  } finally {
    // Stored renditions have already been moved out of staging.
    if (!isStored) await Promise.all(derivedPicture.renditions.map(({ path }) => staging.discard(path)));
  }
}

/** The search before the commit. */
interface FirstSearch {
  /** The count of `RecentDerivations` when it began. */
  readonly searchedAt: number;
  /** Ids of the images that it has compared. */
  readonly candidateIds: readonly number[];
}

/**
 * Repeats the search for near-duplicates after the commit. Two near-duplicates that are derived at the same time cannot
 * find each other before they are recorded. The repeated search for the image that is recorded last finds the other
 * image. It is omitted if no near picture has been derived since the first search.
 */
async function addLateMatches(
  { findNearDuplicates, recentDerivations, fingerprints }: Dependencies,
  image: ImageWithRenditions,
  picture: SearchedPicture,
  { searchedAt, candidateIds }: FirstSearch,
): Promise<ImageWithRenditions> {
  const mayHaveMissed = recentDerivations.mayHaveMissed(picture, searchedAt);
  recentDerivations.add(picture);
  if (!mayHaveMissed) return image;
  const { matches } = await findNearDuplicates(picture, candidateIds);
  if (matches.length === 0) return image;
  const lateMatches = matches.map(toNearDuplicate);
  await fingerprints.addNearDuplicates(image.id, lateMatches);
  return { ...image, nearDuplicates: [...image.nearDuplicates, ...showPairs(lateMatches)] };
}

function toNearDuplicate({
  contentHash: _contentHash,
  renditions: _renditions,
  hasAlpha: _hasAlpha,
  keptMetadata: _keptMetadata,
  ...match
}: NearMatch): NearDuplicate {
  return match;
}

function toDerivedFacts(
  { fingerprint, embedding, keptMetadata, intakeFacts }: DerivedPicture,
  matches: readonly NearMatch[],
  warnings: readonly Violation[],
): DerivedFacts {
  const nearDuplicates = matches.map(toNearDuplicate);
  return { fingerprint, embedding, keptMetadata, intakeFacts, warnings, nearDuplicates };
}

/**
 * Searches for a donor if renditions may be shared. Only an image's first derivation may share renditions, because a
 * later derivation may be restoring files that the donor also lacks.
 */
async function findDonorIfAllowed(
  { findDonor, nearDuplicates }: Dependencies,
  job: ClaimedJob,
  derivedPicture: DerivedPicture,
  matches: readonly NearMatch[],
  signal: AbortSignal,
): Promise<DonorSearch> {
  if (nearDuplicates !== 'reuse' || !job.isFirstRun) return { donor: undefined, matches };
  return findDonor(job, derivedPicture, matches, signal);
}

/** Records the donor's renditions for the image. Returns `undefined` if the donor has since been deleted or changed. */
async function shareRenditions(
  { jobs }: Dependencies,
  job: ClaimedJob,
  { match, pairs }: NonNullable<DonorSearch['donor']>,
  facts: DerivedFacts,
): Promise<DerivationOutcome | undefined> {
  const comparedRenditions = pairs.map(({ donorRendition: { preset, storageKey, contentHash } }) => ({
    preset,
    storageKey,
    contentHash,
  }));
  const result = await jobs.completeWithSharedRenditions(job, match.id, comparedRenditions, facts);
  return result === 'donor-unavailable' ? undefined : (result ?? 'lease-lost');
}

async function storeRenditions(
  { storage }: Dependencies,
  { tenantId }: ClaimedJob,
  contentHash: string,
  variants: readonly Variant[],
  derivedPicture: DerivedPicture,
): Promise<NewRendition[]> {
  const files = derivedPicture.renditions.map(({ sha256, path, ...rendition }, index) => {
    const { preset, recipe, format, density } = rendition;
    const variant = variants[index];
    if (!variant) throw new Error('The decoder returned more renditions than were requested.');
    return {
      path,
      key: renditionKey(tenantId, contentHash, preset, recipe, format, density),
      rendition: { ...rendition, ...describeVariant(variant), contentHash: sha256 },
    };
  });
  await storage.store(files, 'derived');
  return files.map(({ key, rendition }) => ({ ...rendition, storageKey: key }));
}
