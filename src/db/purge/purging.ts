import { type RawBuilder, sql } from 'kysely';
import type { PurgeCandidate } from '../../model/purge.ts';
import type { Database, Queryable } from '../database.ts';
import { type Actor, insertAudit } from '../audit.ts';
import { retryingTransaction, rowsChangedError } from '../engine/retrying.ts';
import type { VectorSupport } from '../engine/vectors.ts';
import { type Content, lockImageAndFiles } from '../images/content-lock.ts';
import { removeUnusedVerdicts } from '../duplicates/verdicts.ts';
import { removeImage } from '../images/removal.ts';
import { isVisibleTo } from '../lists.ts';
import { summarizeDeletedImages } from './deleted-images-summary.ts';

/** Which unused images to select. */
export interface UnusedFilter {
  /** `null` selects the images of all tenants. */
  readonly tenantId: number | null;
  readonly minAgeDays: number;
}

/** The condition under which an image may be purged. It is checked again immediately before the image is removed. */
export type PurgeReason = { readonly unusedWithMinAgeDays: number } | { readonly deletedBefore: Date };

/** A file of a removed image. */
export interface RemovedFile {
  readonly key: string;
  readonly bytes: number;
}

/** Result of removing an image's rows. */
export interface RemovedImage {
  /** Number of the image's renditions. */
  readonly renditions: number;
  /**
   * Files that no row uses any more. They are removed after the commit, so that a crash cannot leave a row without its file.
   */
  readonly files: readonly RemovedFile[];
}

/** Queries that list purge candidates and remove their rows. */
export type PurgeQueries = ReturnType<typeof makePurgeQueries>;

interface CandidatePageRequest {
  readonly limit: number;
  readonly after?: PurgeCandidate | undefined;
}

/** @see PurgeQueries */
export function makePurgeQueries(
  { sql: db }: Database,
  { isAvailable: canStoreEmbeddings }: VectorSupport = { isAvailable: true },
) {
  const contentTables = ['fingerprints', 'frame_hashes', ...(canStoreEmbeddings ? ['embeddings'] : [])];

  async function listCandidates(
    condition: RawBuilder<unknown>,
    orderBy: RawBuilder<unknown>,
    { limit }: CandidatePageRequest,
  ): Promise<PurgeCandidate[]> {
    const { rows } = await sql<PurgeCandidate>`
      SELECT i.id, i.uuid, i.tenant_id AS "tenantId", t.name AS tenant, i.status, i.content_hash AS "contentHash",
        coalesce(i.original_bytes, 0) AS "originalBytes", i.created_at AS "createdAt", i.deleted_at AS "deletedAt"
      FROM images i JOIN tenants t ON t.id = i.tenant_id
      WHERE ${condition} ORDER BY ${orderBy} LIMIT ${limit}`.execute(db);
    return rows;
  }

  return {
    /** Lists unused images, ordered by tenant and id. */
    listUnused(filter: UnusedFilter, page: CandidatePageRequest): Promise<PurgeCandidate[]> {
      const { after } = page;
      const isAfter = after ? sql`(i.tenant_id, i.id) > (${after.tenantId}, ${after.id})` : sql`true`;
      return listCandidates(sql`${isUnused(filter)} AND ${isAfter}`, sql`i.tenant_id, i.id`, page);
    },

    async countUnused(filter: UnusedFilter): Promise<number> {
      const { rows } = await sql<{ count: number }>`
        SELECT count(*) AS count FROM images i WHERE ${isUnused(filter)}`.execute(db);
      return rows[0]?.count ?? 0;
    },

    /** Lists the names of up to 20 tenants that have images but have never used references. All their images look unused. */
    async listTenantsWithoutReferences(tenantId: number | null): Promise<string[]> {
      const { rows } = await sql<{ name: string }>`
        SELECT t.name FROM tenants t
        WHERE NOT t.uses_references AND ${isVisibleTo({ tenantId }, 't.id')}
          AND EXISTS (SELECT 1 FROM images i WHERE i.tenant_id = t.id AND i.deleted_at IS NULL)
        ORDER BY t.name LIMIT 20`.execute(db);
      return rows.map(({ name }) => name);
    },

    /** Lists images that were deleted before the cutoff, oldest deletion first. */
    listDeleted(
      tenantId: number | null,
      cutoff: Date,
      page: CandidatePageRequest,
    ): Promise<PurgeCandidate[]> {
      const { after } = page;
      const isAfter = after ? sql`(i.deleted_at, i.id) > (${after.deletedAt}, ${after.id})` : sql`true`;
      return listCandidates(
        sql`i.deleted_at IS NOT NULL AND i.deleted_at <= ${cutoff} AND ${isVisibleTo({ tenantId }, 'i.tenant_id')}
          AND ${isAfter}`,
        sql`i.deleted_at, i.id`,
        page,
      );
    },

    /** Computes what a purge of images that were deleted at least `days` days ago would remove. */
    summarizeDeleted: (tenantId: number | null, days: number) => summarizeDeletedImages(db, tenantId, days),

    /**
     * Removes an image's rows. Returns `undefined` and changes nothing if the reason no longer applies, for example because
     * the image has since been restored, or if the image has a pending or processing job. Pending jobs that would only make
     * further variants are removed.
     */
    remove: (
      actor: Actor,
      candidate: PurgeCandidate,
      reason: PurgeReason,
    ): Promise<RemovedImage | undefined> =>
      retryingTransaction(db, async (transaction) => {
        await lockImageAndFiles(transaction, candidate.id);
        const content = await findRemovable(transaction, candidate.id, reason);
        if (!content) return undefined;
        await removeWaitingRenders(transaction, candidate.id);
        const files = await listFiles(transaction, candidate.id);
        await insertAudit(actor, {
          action: 'image.purge',
          from: sql`(SELECT uuid FROM images WHERE id = ${candidate.id}) image`,
          tenantId: sql`${content.tenantId}::int`,
          target: sql`image.uuid::text`,
        }).execute(transaction);
        await removeImage(transaction, { id: candidate.id, isDeleted: 'deletedBefore' in reason });
        if (content.contentHash !== null) await removeUnusedContent(transaction, contentTables, content);
        const unusedFiles = await filterUnused(transaction, content, files);
        return { renditions: files.filter(({ isRendition }) => isRendition).length, files: unusedFiles };
      }),
  };
}

/** Condition on `images i`. The `images_unused` index covers the first four terms. */
function isUnused({ tenantId, minAgeDays }: UnusedFilter): RawBuilder<boolean> {
  const isOldEnough =
    minAgeDays > 0 ? sql`i.created_at <= now() - make_interval(days => ${minAgeDays}::int)` : sql`true`;
  return sql`i.deleted_at IS NULL AND i.in_use_count = 0 AND i.content_hash IS NOT NULL
    AND i.status IN ('completed', 'failed') AND ${isVisibleTo({ tenantId }, 'i.tenant_id')} AND ${isOldEnough}`;
}

/** An image's content. The hash is `null` for an import that never received any bytes. */
type ImageContent = Pick<Content, 'tenantId'> & { readonly contentHash: string | null };

/**
 * Returns the image's content if the reason still applies and the image has no pending or processing job, otherwise
 * `undefined`. Jobs that would make further variants do not count while they are pending. This statement runs after the locks have been taken. A statement that waited for a lock would not see jobs
 * that were recorded during the wait, so the image of such a job could be removed.
 */
async function findRemovable(
  transaction: Queryable,
  imageId: number,
  reason: PurgeReason,
): Promise<ImageContent | undefined> {
  const reasonApplies =
    'unusedWithMinAgeDays' in reason
      ? isUnused({ tenantId: null, minAgeDays: reason.unusedWithMinAgeDays })
      : sql`i.deleted_at IS NOT NULL AND i.deleted_at <= ${reason.deletedBefore}`;
  const { rows } = await sql<ImageContent>`
    SELECT i.tenant_id AS "tenantId", i.content_hash AS "contentHash" FROM images i
    WHERE i.id = ${imageId} AND ${reasonApplies} AND NOT EXISTS (
      SELECT 1 FROM jobs WHERE jobs.image_id = i.id AND ${isUnremovable})`.execute(transaction);
  return rows[0];
}

/** Condition on `jobs`: a job whose image must stay. */
const isUnremovable = sql`(jobs.state = 'processing' OR jobs.state = 'pending' AND jobs.kind <> 'render')`;

/** Removes jobs that would make variants of the image. If one of them has been claimed meanwhile, the purge is retried. */
async function removeWaitingRenders(transaction: Queryable, imageId: number): Promise<void> {
  await sql`
    DELETE FROM jobs WHERE image_id = ${imageId} AND kind = 'render' AND state = 'pending'`.execute(
    transaction,
  );
  const { rows } = await sql`
    SELECT 1 FROM jobs WHERE jobs.image_id = ${imageId} AND ${isUnremovable}`.execute(transaction);
  if (rows.length > 0) throw rowsChangedError();
}

type ImageFile = RemovedFile & { readonly isRendition: boolean };

async function listFiles(transaction: Queryable, imageId: number): Promise<ImageFile[]> {
  const { rows } = await sql<ImageFile>`
    SELECT original_key AS key, coalesce(original_bytes, 0) AS bytes, false AS "isRendition" FROM images
    WHERE id = ${imageId} AND original_key IS NOT NULL
    UNION ALL
    SELECT storage_key, bytes, true FROM renditions WHERE image_id = ${imageId}`.execute(transaction);
  return rows;
}

/** Removes what is stored for the content if no image has this content any more. */
async function removeUnusedContent(
  transaction: Queryable,
  tables: readonly string[],
  { tenantId, contentHash }: ImageContent,
): Promise<void> {
  for (const table of tables)
    await sql`
      DELETE FROM ${sql.table(table)} WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash}
        AND NOT EXISTS (SELECT 1 FROM images i WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash})`.execute(
      transaction,
    );
  await removeUnusedVerdicts(transaction, tenantId, contentHash ?? '');
}

/** Returns the files that no row uses, without duplicates. */
async function filterUnused(
  transaction: Queryable,
  { tenantId, contentHash }: ImageContent,
  files: readonly ImageFile[],
): Promise<RemovedFile[]> {
  const { rows } = await sql<RemovedFile>`
    SELECT DISTINCT f.key, f.bytes
    FROM jsonb_to_recordset(${JSON.stringify(files)}::jsonb) AS f (key text, bytes bigint)
    WHERE NOT EXISTS (SELECT 1 FROM renditions r WHERE r.storage_key = f.key)
      AND NOT EXISTS (
        SELECT 1 FROM images i WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash}
          AND i.original_key = f.key)`.execute(transaction);
  return rows;
}
