import { type RawBuilder, sql } from 'kysely';
import { type Embedding, type Fingerprint, hashBands } from '../../model/fingerprint.ts';
import type { ImageWithRenditions, NearDuplicate } from '../../model/image.ts';
import type { ClaimedJob } from '../../model/job.ts';
import type { NewRendition, Rendition } from '../../model/rendition.ts';
import { type Content, contentLock, lockFilesOf } from '../images/content-lock.ts';
import type { Database, Queryable } from '../database.ts';
import { halfVector } from '../images/embeddings.ts';
import { type ImageRow, renditionFields, toImage } from '../images/image-rows.ts';
import { isHeld, lockHeldJob } from './fence.ts';
import { changedMeanwhile, retrying, retryingTransaction } from '../engine/retrying.ts';
import type { VectorSupport } from '../engine/vectors.ts';

/** What deriving a picture gave, beside its renditions. */
export interface DerivedFacts {
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
  readonly nearDuplicates: readonly NearDuplicate[];
}

/** Facts, and whether the database keeps their descriptor. */
type RecordedFacts = DerivedFacts & { readonly keepsVectors: boolean };

/** A rendition of a donor, in the state in which it was compared. */
export type ComparedRendition = Pick<Rendition, 'preset' | 'storageKey' | 'contentHash'>;

/** Queries that finish jobs. */
export type CompletionQueries = ReturnType<typeof makeCompletionQueries>;

/**
 * Queries that finish jobs. Renditions, fingerprints, image and job become visible together, in one statement that names
 * the job's token: a holder that lost its lease changes nothing, and is answered `undefined`.
 */
export function makeCompletionQueries(
  { sql: db }: Database,
  { isAvailable: keepsVectors }: VectorSupport = { isAvailable: true },
) {
  const kept = (facts: DerivedFacts): RecordedFacts => ({ ...facts, keepsVectors });
  return {
    /** The image has renditions of its own. */
    complete: (
      job: ClaimedJob,
      renditions: readonly NewRendition[],
      facts: DerivedFacts,
    ): Promise<ImageWithRenditions | undefined> => {
      const record = (on: Queryable) => finish(on, job, kept(facts), newRenditions(renditions), null);
      // The first run has no files yet whose ownership it could transfer: one statement is enough.
      if (job.isFirstRun) return retrying(() => record(db));
      return retryingTransaction(db, async (transaction) => {
        await lockFilesOf(transaction, [job.imageId]);
        return record(transaction);
      });
    },

    /**
     * Records the `compared` renditions of `donorId` for the image. Returns `donor-gone` if the donor was deleted or no
     * longer uses exactly these files: the image then needs its own renditions.
     */
    completeSharing: (
      job: ClaimedJob,
      donorId: number,
      compared: readonly ComparedRendition[],
      facts: DerivedFacts,
    ): Promise<ImageWithRenditions | undefined | 'donor-gone'> =>
      retryingTransaction(db, async (transaction) => {
        await lockFilesOf(transaction, [job.imageId, donorId]);
        if (!(await mayLend(transaction, donorId, compared))) return 'donor-gone';
        const presets = compared.map(({ preset }) => preset);
        return finish(transaction, job, kept(facts), sharedRenditions(donorId, presets), donorId);
      }),

    /** Near-duplicates that were found after the image was finished. */
    async addNearDuplicates(imageId: number, nearDuplicates: readonly NearDuplicate[]): Promise<void> {
      const image = sql`(SELECT id FROM images WHERE id = ${imageId})`;
      await retrying(() => insertPairs(image, nearDuplicates).execute(db));
    },

    /**
     * The import brought content that the tenant has already: the image shares the files of the one that has it.
     * `first-gone` when that image is deleted or no longer completed.
     */
    completeAsDuplicate: (
      job: ClaimedJob,
      { contentHash, filename }: { readonly contentHash: string; readonly filename: string },
    ): Promise<ImageWithRenditions | undefined | 'first-gone'> =>
      retryingTransaction(db, async (transaction) => {
        const content = { tenantId: job.tenantId, contentHash };
        const firstId = await lockFirst(transaction, content, job.imageId);
        if (firstId === undefined) return 'first-gone';
        if (!(await lockHeldJob(transaction, job))) return undefined;
        await sql`
          UPDATE images SET original_filename = ${filename}, duplicate_of = first.id, content_hash = first.content_hash, original_key = first.original_key,
            original_bytes = first.original_bytes, width = first.width, height = first.height, format = first.format,
            frames = first.frames, color_space = first.color_space, has_alpha = first.has_alpha, bit_depth = first.bit_depth
          FROM images first WHERE images.id = ${job.imageId} AND first.id = ${firstId}`.execute(transaction);
        return finish(transaction, job, undefined, sharedRenditions(firstId), null);
      }),
  };
}

/** Whether the image is living and still uses exactly these files. They stay locked until the transaction ends. */
async function mayLend(
  transaction: Queryable,
  donorId: number,
  compared: readonly ComparedRendition[],
): Promise<boolean> {
  if (compared.length === 0) return false;
  const { rows: found } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
    JOIN jsonb_to_recordset(${JSON.stringify(compared)}::jsonb) AS seen (preset text, "storageKey" text, "contentHash" text)
      ON seen.preset = r.preset AND seen."storageKey" = r.storage_key AND seen."contentHash" = r.content_hash
    WHERE r.image_id = ${donorId}`.execute(transaction);
  return found[0]?.count === compared.length;
}

/** The first image with a content, locked with its files and those of `imageId`; `undefined` when there is none. */
async function lockFirst(
  transaction: Queryable,
  content: Content,
  imageId: number,
): Promise<number | undefined> {
  const seen = await findFirst(transaction, content);
  await lockFilesOf(transaction, seen === undefined ? [imageId] : [imageId, seen], [content]);
  const first = await findFirst(transaction, content);
  if (first !== undefined && first !== seen) throw changedMeanwhile();
  return first;
}

async function findFirst(
  transaction: Queryable,
  { tenantId, contentHash }: Content,
): Promise<number | undefined> {
  const { rows } = await sql<{ id: number }>`
    SELECT id FROM images WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash} AND deleted_at IS NULL
      AND duplicate_of IS NULL AND status = 'completed' AND damaged_at IS NULL`.execute(transaction);
  return rows[0]?.id;
}

/** Rows to insert: `done` is the job that just ended. A file that another living image has counts there. */
function newRenditions(renditions: readonly NewRendition[]): RawBuilder<unknown> {
  return sql`
    SELECT done.image_id, made.*, is_owned_elsewhere(made."storageKey", done.image_id)
    FROM done CROSS JOIN jsonb_to_recordset(${JSON.stringify(renditions)}::jsonb) AS made
      (preset text, recipe text, "storageKey" text, "contentHash" text, bytes int, width int, height int,
       quality smallint, format text)`;
}

/** All renditions of the donor, or only these presets. */
function sharedRenditions(donorId: number, presets?: readonly string[]): RawBuilder<unknown> {
  return sql`
    SELECT done.image_id, r.preset, r.recipe, r.storage_key, r.content_hash, r.bytes, r.width, r.height, r.quality,
      r.format, true
    FROM done CROSS JOIN renditions r
    WHERE r.image_id = ${donorId} ${presets ? sql`AND r.preset = ANY(${presets})` : sql``}`;
}

async function finish(
  db: Queryable,
  job: ClaimedJob,
  facts: RecordedFacts | undefined,
  renditions: RawBuilder<unknown>,
  donorId: number | null,
): Promise<ImageWithRenditions | undefined> {
  const { rows } = await sql<ImageRow & { renditions: Rendition[] | null }>`
    -- Two images with the same content that are finished at the same moment must not both own their files.
    WITH locked AS MATERIALIZED (SELECT ${job.original ? contentLock(job.tenantId, job.original.contentHash) : sql`1`}),
    done AS (
      UPDATE jobs SET state = 'completed', lease_until = NULL, finished_at = now(), error = NULL, error_code = NULL,
        content_hash = coalesce(jobs.content_hash, (SELECT i.content_hash FROM images i WHERE i.id = jobs.image_id))
      FROM locked WHERE ${isHeld(job)} RETURNING jobs.image_id, jobs.tenant_id),
    made AS (
      INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format, shared)
      ${renditions}
      ON CONFLICT (image_id, preset) DO UPDATE SET recipe = excluded.recipe, storage_key = excluded.storage_key,
        content_hash = excluded.content_hash, bytes = excluded.bytes, width = excluded.width, height = excluded.height,
        quality = excluded.quality, format = excluded.format, shared = excluded.shared
      RETURNING *),
    -- A file that the image no longer shows is owned by the first of those that still do.
    inherited AS (
      UPDATE renditions SET shared = false WHERE id IN (
        SELECT DISTINCT ON (heir.storage_key) heir.id FROM made
        JOIN renditions old ON old.image_id = made.image_id AND old.preset = made.preset AND NOT old.shared
          AND old.storage_key <> made.storage_key
        JOIN renditions heir ON heir.storage_key = old.storage_key AND heir.shared AND heir.image_id <> made.image_id
        JOIN images i ON i.id = heir.image_id AND i.deleted_at IS NULL
        ORDER BY heir.storage_key, heir.id)),
    shown AS (
      UPDATE images SET status = 'completed', error = NULL, error_code = NULL, processed_at = now(), updated_at = now(),
        renditions_reused_from = ${rootOf(donorId)}
      FROM done WHERE images.id = done.image_id RETURNING images.*)
    ${facts ? recordFacts(job, facts) : sql``}
    SELECT shown.*, tenants.name AS tenant,
      (SELECT json_agg(json_build_object(${renditionFields('made')}) ORDER BY width, preset) FROM made) AS renditions
    FROM shown JOIN tenants ON tenants.id = shown.tenant_id`.execute(db);
  const row = rows[0];
  return (
    row && { ...toImage(row), renditions: row.renditions ?? [], nearDuplicates: facts?.nearDuplicates ?? [] }
  );
}

/** A donor that shows another image's renditions itself passes that one on: the name is that of the image that made them, while it lives. */
function rootOf(donorId: number | null): RawBuilder<unknown> {
  return donorId === null
    ? sql`NULL`
    : sql`coalesce((SELECT first.id FROM images d JOIN images first ON first.id = d.renditions_reused_from
        WHERE d.id = ${donorId} AND first.deleted_at IS NULL), ${donorId}::bigint)`;
}

/** Further parts of the same statement. */
function recordFacts({ tenantId }: ClaimedJob, facts: RecordedFacts): RawBuilder<unknown> {
  const { fingerprint, nearDuplicates } = facts;
  const bands = bandKeys(tenantId, fingerprint.hash);
  return sql`, printed AS (
      INSERT INTO fingerprints (tenant_id, content_hash, version, hash, quality, aspect, thumbnail, bands)
      SELECT tenant_id, content_hash, ${fingerprint.version}::smallint, ${`x${fingerprint.hash}`}::bit(256),
        ${fingerprint.quality}::smallint, ${fingerprint.aspect}::real, decode(${fingerprint.thumbnail}, 'base64'),
        ${bands}::bigint[]
      FROM shown
      ON CONFLICT (tenant_id, content_hash) DO UPDATE SET version = excluded.version, hash = excluded.hash,
        quality = excluded.quality, aspect = excluded.aspect, thumbnail = excluded.thumbnail, bands = excluded.bands
      WHERE fingerprints.version <> excluded.version)
    ${facts.keepsVectors ? sql`, embedded AS (${insertEmbedding(facts)})` : sql``}
    ${nearDuplicates.length > 0 ? sql`, paired AS (${insertPairs(sql`shown`, nearDuplicates)})` : sql``}`;
}

function insertEmbedding({ embedding }: DerivedFacts): RawBuilder<unknown> {
  return sql`
    INSERT INTO embeddings (tenant_id, content_hash, space, vector)
    SELECT tenant_id, content_hash, ${embedding.space}, ${halfVector(embedding)}::halfvec FROM shown
    ON CONFLICT (tenant_id, space, content_hash) DO UPDATE SET vector = excluded.vector`;
}

/** Pairs of the image in `image` (a row with its `id`), each written once: the later image first. */
function insertPairs(
  image: RawBuilder<unknown>,
  nearDuplicates: readonly NearDuplicate[],
): RawBuilder<unknown> {
  return sql`
    INSERT INTO near_duplicates (image_id, match_id, distance, difference, reason)
    SELECT greatest(image.id, found.id), least(image.id, found.id), found.distance, found.difference, found.reason
    FROM ${image} image CROSS JOIN jsonb_to_recordset(${JSON.stringify(nearDuplicates)}::jsonb) AS found
      (id bigint, distance smallint, difference real, reason text)
    -- A match that was purged in the meantime is none any more.
    WHERE found.id <> image.id AND (SELECT true FROM images WHERE images.id = found.id)
    ON CONFLICT (image_id, match_id) DO UPDATE SET distance = excluded.distance, difference = excluded.difference,
      reason = excluded.reason`;
}

/** Keys of the index of hashes; with the tenant in each key, a search costs what its own tenant's pictures cost. */
export function bandKeys(tenantId: number, hash: string): number[] {
  return hashBands(hash).map((band) => tenantId * 2 ** 20 + band);
}
