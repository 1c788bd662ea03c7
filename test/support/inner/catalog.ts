import assert from 'node:assert/strict';
import type { Database } from '../../../src/db/database.ts';
import type { ImagePair } from '../../../src/db/duplicates/verdicts.ts';
import type { PurgeReason, RemovedImage } from '../../../src/db/purge/purging.ts';
import { makeQueries } from '../../../src/db/queries.ts';
import type { VectorSupport } from '../../../src/db/engine/vectors.ts';
import type { NearDuplicate } from '../../../src/model/image.ts';
import type { DuplicatePolicy } from '../../../src/model/import.ts';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { unrestrictedPrincipal, systemPrincipal } from '../../../src/model/principal.ts';
import type { NewRendition } from '../../../src/model/rendition.ts';
import { makeFailedAttempt } from './jobs.ts';
import { makeFetchedContent, makeDerivedFacts, sha256Hex, makeRendition, makeUpload } from './records.ts';

/** Operations on one tenant's images. They write only database rows. No files are stored. */
export type Catalog = ReturnType<typeof makeCatalog>;

/** Creates the operations for one tenant. */
export function makeCatalog(database: Database, tenantId: number, vectors?: VectorSupport) {
  const queries = makeQueries(database, vectors);
  const { jobs, deletion, purging } = queries;
  const makeRenditions = (content: string): NewRendition[] => [
    makeRendition(tenantId, content, 'thumb', 10 + content.length),
    makeRendition(tenantId, content, 'card', 300 + content.length),
  ];

  /** Records an upload whose job is already claimed. */
  async function upload(content: string): Promise<ClaimedJob> {
    const result = await jobs.enqueueUpload(makeUpload(tenantId, content, { leaseSeconds: 60 }));
    if (result.outcome === 'known') throw new Error(`${content} is already known.`);
    return result.job;
  }

  async function finish(
    job: ClaimedJob,
    content: string,
    renditions = makeRenditions(content),
  ): Promise<number> {
    await jobs.complete(job, renditions, makeDerivedFacts(content));
    return job.imageId;
  }

  /** Completes a job of an image that matches other images. Returns the image's id. */
  async function finishWith(
    job: ClaimedJob,
    content: string,
    nearDuplicates: readonly NearDuplicate[],
  ): Promise<number> {
    await jobs.complete(job, makeRenditions(content), makeDerivedFacts(content, { nearDuplicates }));
    return job.imageId;
  }

  /** Returns two images in the form that verdicts need. */
  async function pairOf(...pairIds: readonly [number, number]): Promise<ImagePair> {
    const find = async (id: number) => {
      const image = await queries.images.find(unrestrictedPrincipal, { id });
      assert.ok(image?.contentHash);
      return { id, uuid: image.uuid, tenantId, contentHash: image.contentHash };
    };
    return [await find(pairIds[0]), await find(pairIds[1])];
  }

  /** Records an import and claims its job. */
  async function claimImport(
    url: string,
    {
      duplicateHandling = 'allow-retry',
      reference,
    }: { duplicateHandling?: DuplicatePolicy; reference?: string } = {},
  ): Promise<ClaimedJob> {
    await jobs.enqueueUrls(
      systemPrincipal,
      [{ tenantId, url, urlHash: sha256Hex(url), reference }],
      duplicateHandling,
      50,
    );
    const [job] = await jobs.claimDue('import', 1, 60);
    if (!job) throw new Error('No import is due.');
    return job;
  }

  const findPurgeCandidate = async (id: number) => {
    const unusedImages = await purging.listUnused({ tenantId, minAgeDays: 0 }, { limit: 1000 });
    const deletedImages = await purging.listDeleted(tenantId, tomorrow(), { limit: 1000 });
    return [...unusedImages, ...deletedImages].find((candidate) => candidate.id === id);
  };

  /** Completes an import whose content the tenant already has. */
  const completeAsDuplicate = (job: ClaimedJob, content: string) =>
    jobs.completeAsDuplicate(job, { contentHash: sha256Hex(content), filename: `${content}.jpg` });

  /** Completes a job by reusing the renditions of a similar image, the donor. */
  async function completeWithDonor(job: ClaimedJob, content: string, donorId: number) {
    const donor = await queries.images.find(unrestrictedPrincipal, { id: donorId });
    return jobs.completeWithSharedRenditions(
      job,
      donorId,
      donor?.renditions ?? [],
      makeDerivedFacts(content),
    );
  }

  /** Imports a duplicate of the image with this content. */
  async function addCopy(content: string): Promise<number> {
    const job = await claimImport(`https://example.com/${content}`);
    assert.equal(typeof (await completeAsDuplicate(job, content)), 'object');
    return job.imageId;
  }

  /** Adds an image with different content that reuses the donor's renditions. */
  async function addSharer(content: string, donorId: number): Promise<number> {
    const job = await upload(content);
    assert.equal(typeof (await completeWithDonor(job, content, donorId)), 'object');
    return job.imageId;
  }

  return {
    ...queries,
    tenantId,
    addCopy,
    addSharer,
    makeRenditions,
    upload,
    finish,
    finishWith,
    pairOf,
    claimImport,
    findPurgeCandidate,
    /** Records a completed upload. Returns the image's id. */
    add: async (content: string): Promise<number> => finish(await upload(content), content),
    fail: (job: ClaimedJob) => jobs.recordFailure(job, makeFailedAttempt('permanent'), { state: 'failed' }),
    withdraw: (job: ClaimedJob, content: string) =>
      jobs.withdraw(job, { contentHash: sha256Hex(content), removeOriginal: () => Promise.resolve() }),
    completeAsDuplicate,
    attach: (job: ClaimedJob, content: string) =>
      jobs.attachContent(job, makeFetchedContent(tenantId, content)),
    completeWithDonor,
    softDelete: (id: number, force = false) => deletion.softDelete(unrestrictedPrincipal, { id }, force),
    restore: (id: number) => deletion.restore(unrestrictedPrincipal, { id }),
    /** Purges an unused or deleted image. Returns `undefined` if the image must be kept. */
    purge: async (id: number): Promise<RemovedImage | undefined> => {
      const candidate = await findPurgeCandidate(id);
      if (!candidate) return undefined;
      const reason: PurgeReason = candidate.deletedAt
        ? { deletedBefore: tomorrow() }
        : { unusedWithMinAgeDays: 0 };
      return purging.remove(systemPrincipal, candidate, reason);
    },
    image: (id: number) => queries.images.find(unrestrictedPrincipal, { id }),
  };
}

const tomorrow = () => new Date(Date.now() + 86_400_000);
