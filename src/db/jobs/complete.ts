import { type RawBuilder, sql } from 'kysely';
import type { Embedding, Fingerprint } from '../../model/fingerprint.ts';
import { showPairs } from '../../model/duplicates.ts';
import type { ImageWithRenditions, NearDuplicate } from '../../model/image.ts';
import type { IntakeFacts } from '../../model/intake-facts.ts';
import type { Violation } from '../../model/intake-rules.ts';
import type { ClaimedJob } from '../../model/job.ts';
import type { NewRendition, Rendition } from '../../model/rendition.ts';
import type { Database, Queryable } from '../database.ts';
import { rowsChangedError, retrying, retryingTransaction } from '../engine/retrying.ts';
import type { VectorSupport } from '../engine/vectors.ts';
import { type Content, contentLock, lockImageFiles } from '../images/content-lock.ts';
import { upsertEmbedding } from '../images/embeddings.ts';
import { upsertFingerprint, upsertHashes, upsertNearDuplicates } from '../images/fingerprints.ts';
import { type ImageRow, renditionFields, toImage } from '../images/image-rows.ts';
import {
  insertRenditions,
  selectNewRenditions,
  selectSharedRenditions,
  writeRenditions,
} from '../images/write-renditions.ts';
import { heldBy, lockHeldJob } from './fence.ts';

/** What a job derives from a picture, in addition to its renditions. */
export interface DerivedFacts {
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
  /** SHA-256 of the metadata that renditions keep, hexadecimal; empty if there is none, `null` if it is unknown. */
  readonly keptMetadata: string | null;
  /** All pairs that the search found, with the tiers that it found. */
  readonly nearDuplicates: readonly NearDuplicate[];
  readonly intakeFacts: IntakeFacts;
  /** The intake rules with the action `warn` that the picture breaks. */
  readonly warnings: readonly Violation[];
}

/** A rendition of the donor (the image whose renditions are shared), as it was when the renditions were compared. */
export type ComparedRendition = Pick<Rendition, 'preset' | 'storageKey' | 'contentHash'>;

/**
 * Creates the queries that complete a job (processing → completed). Renditions, fingerprint, image and job are committed
 * together. Each query returns the completed image, or `undefined` if the lease was lost.
 */
export function makeCompleteQueries(
  { sql: db }: Database,
  { isAvailable: canStoreEmbeddings }: VectorSupport,
) {
  return {
    /** Completes a job with the image's own renditions. */
    complete: (
      job: ClaimedJob,
      renditions: readonly NewRendition[],
      facts: DerivedFacts,
    ): Promise<ImageWithRenditions | undefined> => {
      const completeWith = (queryable: Queryable) =>
        completeJob(queryable, job, {
          renditions: selectNewRenditions(completedJob, renditions),
          facts,
          canStoreEmbeddings,
        });
      // On its first run, an image has no files whose ownership could change, so a single statement suffices.
      if (job.isFirstRun) return retrying(() => completeWith(db));
      return retryingTransaction(db, async (transaction) => {
        await lockImageFiles(transaction, [job.imageId]);
        return completeWith(transaction);
      });
    },

    /**
     * Completes a job with the donor's renditions. Returns `donor-unavailable` if the donor was deleted, or if any of the
     * compared renditions has changed. The image then needs its own renditions.
     */
    completeWithSharedRenditions: (
      job: ClaimedJob,
      donorId: number,
      comparedRenditions: readonly ComparedRendition[],
      facts: DerivedFacts,
    ): Promise<ImageWithRenditions | undefined | 'donor-unavailable'> =>
      retryingTransaction(db, async (transaction) => {
        await lockImageFiles(transaction, [job.imageId, donorId]);
        if (!(await hasRenditions(transaction, donorId, comparedRenditions))) return 'donor-unavailable';
        const storageKeys = comparedRenditions.map(({ storageKey }) => storageKey);
        const renditions = selectSharedRenditions(completedJob, donorId, storageKeys);
        return completeJob(transaction, job, { renditions, facts, canStoreEmbeddings, donorId });
      }),

    /**
     * Completes an import whose content the tenant already has. The image shares the files of the first image with this
     * content. Returns `first-image-unavailable` if that image no longer exists, is not completed or is damaged.
     */
    completeAsDuplicate: (
      job: ClaimedJob,
      { contentHash, filename }: { readonly contentHash: string; readonly filename: string },
    ): Promise<ImageWithRenditions | undefined | 'first-image-unavailable'> =>
      retryingTransaction(db, async (transaction) => {
        const content = { tenantId: job.tenantId, contentHash };
        const firstImageId = await lockFirstImage(transaction, content, job.imageId);
        if (firstImageId === undefined) return 'first-image-unavailable';
        if (!(await lockHeldJob(transaction, job))) return undefined;
        await sql`
          UPDATE images SET original_filename = ${filename}, duplicate_of = first_image.id,
            content_hash = first_image.content_hash, original_key = first_image.original_key,
            original_bytes = first_image.original_bytes, width = first_image.width, height = first_image.height,
            format = first_image.format, frames = first_image.frames, color_space = first_image.color_space,
            has_alpha = first_image.has_alpha, bit_depth = first_image.bit_depth, focus_x = first_image.focus_x,
            focus_y = first_image.focus_y, kept_metadata = first_image.kept_metadata, facts = first_image.facts,
            background = first_image.background, sharpness = first_image.sharpness, fill = first_image.fill,
            is_upscaled = first_image.is_upscaled, is_heavily_compressed = first_image.is_heavily_compressed,
            warnings = first_image.warnings
          FROM images first_image WHERE images.id = ${job.imageId} AND first_image.id = ${firstImageId}`.execute(
          transaction,
        );
        return completeJob(transaction, job, {
          renditions: selectSharedRenditions(completedJob, firstImageId),
          canStoreEmbeddings,
        });
      }),
  };
}

/** Whether the image is not deleted and has all of the given renditions. The caller must have locked the image's files. */
async function hasRenditions(
  transaction: Queryable,
  imageId: number,
  renditions: readonly ComparedRendition[],
): Promise<boolean> {
  if (renditions.length === 0) return false;
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
    JOIN jsonb_to_recordset(${JSON.stringify(renditions)}::jsonb) AS compared_rendition
      (preset text, "storageKey" text, "contentHash" text)
      ON compared_rendition.preset = r.preset AND compared_rendition."storageKey" = r.storage_key
        AND compared_rendition."contentHash" = r.content_hash
    WHERE r.image_id = ${imageId} AND r.superseded_at IS NULL`.execute(transaction);
  return rows[0]?.count === renditions.length;
}

/** Finds the first image with this content, if that image is completed and intact. Locks its files and the files of `imageId`. */
async function lockFirstImage(
  transaction: Queryable,
  content: Content,
  imageId: number,
): Promise<number | undefined> {
  const idBeforeLock = await findFirstImageId(transaction, content);
  const imageIds = idBeforeLock === undefined ? [imageId] : [imageId, idBeforeLock];
  await lockImageFiles(transaction, imageIds, [content]);
  const id = await findFirstImageId(transaction, content);
  if (id !== undefined && id !== idBeforeLock) throw rowsChangedError();
  return id;
}

async function findFirstImageId(
  transaction: Queryable,
  { tenantId, contentHash }: Content,
): Promise<number | undefined> {
  const { rows } = await sql<{ id: number }>`
    SELECT id FROM images WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash} AND deleted_at IS NULL
      AND duplicate_of IS NULL AND status = 'completed' AND damaged_at IS NULL`.execute(transaction);
  return rows[0]?.id;
}

/** The CTE with the completed job. */
const completedJob = sql`completed_job`;

interface Completion {
  /** `SELECT` statement that yields the rows for `writeRenditions`. It reads from `completed_job`. */
  readonly renditions: RawBuilder<unknown>;
  readonly facts?: DerivedFacts;
  /** Whether the database has the embeddings table. */
  readonly canStoreEmbeddings: boolean;
  /** The image whose renditions are shared because their pixels are the same. */
  readonly donorId?: number;
}

/** Completes the job in one statement. The functions below build its parts, in this order. */
async function completeJob(
  db: Queryable,
  job: ClaimedJob,
  { renditions, facts, canStoreEmbeddings, donorId }: Completion,
): Promise<ImageWithRenditions | undefined> {
  const completedImage = sql`completed_image`;
  const nearDuplicates = facts?.nearDuplicates ?? [];
  const parts = [
    sql`locked_content AS MATERIALIZED (SELECT ${lockJobContent(job)})`,
    sql`completed_job AS (${updateJob(job)})`,
    // On its first run, an image has no renditions.
    ...(job.isFirstRun ? insertRenditions : writeRenditions)(renditions),
    sql`completed_image AS (${updateImage(donorId, facts)})`,
  ];
  if (facts)
    parts.push(sql`written_fingerprint AS (${upsertFingerprint(completedImage, facts.fingerprint)})`);
  if (facts && facts.fingerprint.frameHashes.length > 0)
    parts.push(sql`written_hashes AS (${upsertHashes(completedImage, job.tenantId, facts.fingerprint)})`);
  if (facts && canStoreEmbeddings)
    parts.push(sql`written_embedding AS (${upsertEmbedding(completedImage, facts.embedding)})`);
  if (nearDuplicates.length > 0)
    parts.push(sql`written_near_duplicates AS (${upsertNearDuplicates(completedImage, nearDuplicates)})`);
  const { rows } = await sql<ImageRow & { renditions: Rendition[] | null }>`
    WITH ${sql.join(parts)}
    SELECT completed_image.*, tenants.name AS tenant,
      (SELECT json_agg(json_build_object(${renditionFields('written_renditions')})
         ORDER BY width, preset, density, format)
       FROM written_renditions) AS renditions
    FROM completed_image JOIN tenants ON tenants.id = completed_image.tenant_id`.execute(db);
  const row = rows[0];
  return (
    row && {
      ...toImage(row),
      renditions: row.renditions ?? [],
      nearDuplicates: showPairs(nearDuplicates),
    }
  );
}

/**
 * SQL expression that locks the job's content. Otherwise, two images that are completed concurrently could both own its
 * files.
 */
function lockJobContent({ original, tenantId }: ClaimedJob): RawBuilder<unknown> {
  return original ? contentLock(tenantId, original.contentHash) : sql`1`;
}

function updateJob(job: ClaimedJob): RawBuilder<unknown> {
  return sql`
    UPDATE jobs SET state = 'completed', lease_until = NULL, finished_at = now(), error = NULL, error_code = NULL,
      content_hash = coalesce(jobs.content_hash, (SELECT i.content_hash FROM images i WHERE i.id = jobs.image_id))
    FROM locked_content WHERE ${heldBy(job)} RETURNING jobs.image_id, jobs.tenant_id`;
}

function updateImage(donorId: number | undefined, facts: DerivedFacts | undefined): RawBuilder<unknown> {
  return sql`
    UPDATE images SET status = 'completed', error = NULL, error_code = NULL, processed_at = now(), updated_at = now(),
      ${facts ? setFacts(facts) : sql``} renditions_reused_from = ${selectOriginalDonor(donorId)}
    FROM completed_job WHERE images.id = completed_job.image_id RETURNING images.*`;
}

/** Assignments, with a comma after the last one. */
function setFacts({ keptMetadata, intakeFacts: facts, warnings }: DerivedFacts): RawBuilder<unknown> {
  return sql`kept_metadata = ${keptMetadata}::text, facts = ${JSON.stringify(facts)}::jsonb,
    background = ${facts.background.kind}, sharpness = ${facts.sharpness}::real, fill = ${facts.fill}::real,
    is_upscaled = ${facts.upscaled}, is_heavily_compressed = ${facts.compression.heavy},
    warnings = ${warnings.length > 0 ? JSON.stringify(warnings) : null}::jsonb,`;
}

/**
 * SQL expression for the id of the image whose job created the renditions. If the donor itself shares the renditions of a
 * third image that is not deleted, the result is the third image's id. Otherwise, the result is the donor's id.
 */
function selectOriginalDonor(donorId: number | undefined): RawBuilder<unknown> {
  return donorId === undefined
    ? sql`NULL`
    : sql`coalesce((SELECT original_donor.id FROM images donor
        JOIN images original_donor ON original_donor.id = donor.renditions_reused_from
        WHERE donor.id = ${donorId} AND original_donor.deleted_at IS NULL), ${donorId}::bigint)`;
}
