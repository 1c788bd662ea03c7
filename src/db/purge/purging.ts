import { sql } from 'kysely';
import type { PurgeCandidate } from '../../model/purge.ts';
import { type Content, lockImageAndFiles } from '../images/content-lock.ts';
import type { Database, Queryable } from '../database.ts';
import { removeImage } from '../images/removal.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import type { VectorSupport } from '../engine/vectors.ts';

/** Which images nobody uses. */
export interface UnusedFilter {
  readonly tenantId: number | null;
  readonly minAgeDays: number;
}

/** Why an image may be removed: looked at again at the moment of its removal. */
export type PurgeReason = { readonly unusedForDays: number } | { readonly deletedBefore: Date };

/** A file that the removed image had, with its size. */
export interface RemovedFile {
  readonly key: string;
  readonly bytes: number;
}

/** What an image leaves behind. */
export interface RemovedImage {
  readonly renditions: number;
  /** Files that no row names any more. They are removed after the commit: a crash leaves orphans, never a row without its file. */
  readonly files: readonly RemovedFile[];
}

/** Figures of a purge of deleted images. */
export interface DeletedFigures {
  readonly cutoff: Date;
  readonly images: number;
  readonly renditionsFound: number;
  readonly renditionsToDelete: number;
  readonly bytes: number;
}

/** Queries of purges. */
export type PurgeQueries = ReturnType<typeof makePurgeQueries>;

/** Queries of purges. */
export function makePurgeQueries(
  { sql: db }: Database,
  { isAvailable: keepsVectors }: VectorSupport = { isAvailable: true },
) {
  const tables = keepsVectors ? ['fingerprints', 'embeddings'] : ['fingerprints'];
  return {
    /** Images that nobody uses, in the order of their tenants and numbers, and how many there are in all. */
    async unused(
      filter: UnusedFilter,
      page: { readonly limit: number; readonly after?: PurgeCandidate | undefined },
    ): Promise<PurgeCandidate[]> {
      const { rows } = await sql<PurgeCandidate>`
        SELECT ${candidateColumns} FROM images i JOIN tenants t ON t.id = i.tenant_id
        WHERE ${isUnused(filter)}
          AND ${page.after ? sql`(i.tenant_id, i.id) > (${page.after.tenantId}, ${page.after.id})` : sql`true`}
        ORDER BY i.tenant_id, i.id LIMIT ${page.limit}`.execute(db);
      return rows;
    },

    async countUnused(filter: UnusedFilter): Promise<number> {
      const { rows } = await sql<{ count: number }>`
        SELECT count(*) AS count FROM images i WHERE ${isUnused(filter)}`.execute(db);
      return rows[0]?.count ?? 0;
    },

    /** Names of tenants with living images that have never used references: all that they have looks unused. */
    async tenantsWithoutReferences(tenantId: number | null): Promise<string[]> {
      const { rows } = await sql<{ name: string }>`
        SELECT t.name FROM tenants t
        WHERE NOT t.uses_references AND ${tenantId === null ? sql`true` : sql`t.id = ${tenantId}`}
          AND EXISTS (SELECT 1 FROM images i WHERE i.tenant_id = t.id AND i.deleted_at IS NULL)
        ORDER BY t.name LIMIT 20`.execute(db);
      return rows.map(({ name }) => name);
    },

    /** Images that were deleted before the cutoff, oldest deletion first. */
    async deleted(
      tenantId: number | null,
      cutoff: Date,
      page: { readonly limit: number; readonly after?: PurgeCandidate | undefined },
    ): Promise<PurgeCandidate[]> {
      const { rows } = await sql<PurgeCandidate>`
        SELECT ${candidateColumns} FROM images i JOIN tenants t ON t.id = i.tenant_id
        WHERE i.deleted_at IS NOT NULL AND i.deleted_at <= ${cutoff} AND ${ofTenant(tenantId)}
          AND ${page.after ? sql`(i.deleted_at, i.id) > (${page.after.deletedAt}, ${page.after.id})` : sql`true`}
        ORDER BY i.deleted_at, i.id LIMIT ${page.limit}`.execute(db);
      return rows;
    },

    /**
     * What a purge of images that were deleted at least `days` ago would remove: from what deletions have noted, and for
     * the few whose content or files other images have too, from the rows.
     */
    async deletedFigures(tenantId: number | null, days: number): Promise<DeletedFigures> {
      const { rows } = await sql<Omit<DeletedFigures, 'renditionsFound'>>`
        WITH bound AS MATERIALIZED (SELECT now() - make_interval(days => ${days}::int) AS cutoff)
        SELECT bound.cutoff, count(i.id) AS images, coalesce(sum(i.purge_renditions), 0) AS "renditionsToDelete",
          coalesce(sum(i.purge_bytes) FILTER (WHERE NOT i.has_relatives), 0)::bigint AS bytes
        FROM bound LEFT JOIN images i ON i.deleted_at IS NOT NULL AND i.deleted_at <= bound.cutoff AND ${ofTenant(tenantId)}
        GROUP BY bound.cutoff`.execute(db);
      const figures = rows[0];
      if (!figures) throw new Error('The figures of a purge are one row.');
      const { cutoff } = figures;
      return {
        ...figures,
        bytes: figures.bytes + (await countSharedBytes(db, tenantId, cutoff)),
        renditionsFound: await countRenditionsUntil(db, tenantId, cutoff),
      };
    },

    /**
     * Removes the rows of an image, if the reason still holds: one that was used, restored or taken into work in the
     * meantime stays, and the answer is `undefined`.
     */
    remove: (candidate: PurgeCandidate, reason: PurgeReason): Promise<RemovedImage | undefined> =>
      retryingTransaction(db, async (transaction) => {
        await lockImageAndFiles(transaction, candidate.id);
        const content = await findRemovable(transaction, candidate.id, reason);
        if (!content) return undefined;
        const files = await listFiles(transaction, candidate.id);
        await removeImage(transaction, { id: candidate.id, isHidden: 'deletedBefore' in reason });
        if (content.contentHash !== null) await forgetContent(transaction, tables, content);
        const free = await keepUnnamed(transaction, content, files);
        return { renditions: files.filter(({ isRendition }) => isRendition).length, files: free };
      }),
  };
}

/** Bytes that go with deleted images that have relatives: of files that no image needs which stays. */
async function countSharedBytes(db: Queryable, tenantId: number | null, cutoff: Date): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    WITH gone AS MATERIALIZED (
      SELECT i.id, i.tenant_id, i.content_hash, i.original_key, i.original_bytes FROM images i
      WHERE i.deleted_at IS NOT NULL AND i.has_relatives AND i.deleted_at <= ${cutoff} AND ${ofTenant(tenantId)}),
    originals AS (
      SELECT original_key, min(original_bytes) AS bytes FROM gone
      WHERE original_key IS NOT NULL AND (
        SELECT true FROM images kept WHERE kept.tenant_id = gone.tenant_id AND kept.content_hash = gone.content_hash
          AND (kept.deleted_at IS NULL OR kept.deleted_at > ${cutoff}) LIMIT 1) IS NULL
      GROUP BY original_key),
    shown AS (
      SELECT r.storage_key, min(r.bytes) AS bytes FROM gone JOIN renditions r ON r.image_id = gone.id
      WHERE (
        SELECT true FROM renditions kept WHERE kept.storage_key = r.storage_key
          AND (SELECT i.deleted_at IS NULL OR i.deleted_at > ${cutoff} FROM images i WHERE i.id = kept.image_id)
        LIMIT 1) IS NULL
      GROUP BY r.storage_key)
    SELECT ((SELECT coalesce(sum(bytes), 0) FROM originals) + (SELECT coalesce(sum(bytes), 0) FROM shown))::bigint AS bytes`.execute(
    db,
  );
  return rows[0]?.bytes ?? 0;
}

/**
 * Renditions that are older than a moment. All of them, from counters, less the newer ones: most purges look far back,
 * and then few are newer. A caller that is bound to a tenant has few renditions, and those are counted.
 */
async function countRenditionsUntil(db: Queryable, tenantId: number | null, cutoff: Date): Promise<number> {
  const { rows } = await (tenantId === null
    ? sql<{ count: number }>`
        SELECT CASE WHEN (SELECT min(created_at) FROM renditions) > ${cutoff} THEN 0 ELSE
          (SELECT coalesce(sum(count), 0) FROM usage WHERE kind = 'rendition')
          + (SELECT coalesce(sum(purge_renditions), 0) FROM images WHERE deleted_at IS NOT NULL)
          - (SELECT count(*) FROM renditions WHERE created_at > ${cutoff}) END::bigint AS count`
    : sql<{ count: number }>`
        SELECT count(*) AS count FROM renditions r JOIN images i ON i.id = r.image_id
        WHERE i.tenant_id = ${tenantId} AND r.created_at <= ${cutoff}`
  ).execute(db);
  return rows[0]?.count ?? 0;
}

const candidateColumns = sql`i.id, i.uuid, i.tenant_id AS "tenantId", t.name AS tenant, i.status,
  i.content_hash AS "contentHash", coalesce(i.original_bytes, 0) AS "originalBytes", i.created_at AS "createdAt",
  i.deleted_at AS "deletedAt"`;

function ofTenant(tenantId: number | null) {
  return tenantId === null ? sql`true` : sql`i.tenant_id = ${tenantId}`;
}

/** The first four conditions are those of the index `images_unused`. */
function isUnused({ tenantId, minAgeDays }: UnusedFilter) {
  const age =
    minAgeDays > 0 ? sql`i.created_at <= now() - make_interval(days => ${minAgeDays}::int)` : sql`true`;
  return sql`i.deleted_at IS NULL AND i.in_use_count = 0 AND i.content_hash IS NOT NULL
    AND i.status IN ('completed', 'failed') AND ${ofTenant(tenantId)} AND ${age}`;
}

/** What an image holds: no content yet, if it is an import that never got one. */
type ImageContent = Pick<Content, 'tenantId'> & { readonly contentHash: string | null };

/**
 * The content of the image if the reason still applies, else `undefined`. Checked in a statement after the locks: a
 * statement that waited for them would not see a job that was recorded during the wait, and the job would lose its
 * image.
 */
async function findRemovable(
  transaction: Queryable,
  imageId: number,
  reason: PurgeReason,
): Promise<ImageContent | undefined> {
  const holds =
    'unusedForDays' in reason
      ? isUnused({ tenantId: null, minAgeDays: reason.unusedForDays })
      : sql`i.deleted_at IS NOT NULL AND i.deleted_at <= ${reason.deletedBefore}`;
  const { rows } = await sql<ImageContent>`
    SELECT i.tenant_id AS "tenantId", i.content_hash AS "contentHash" FROM images i
    WHERE i.id = ${imageId} AND ${holds} AND NOT EXISTS (
      SELECT 1 FROM jobs WHERE jobs.image_id = i.id AND jobs.state IN ('pending', 'processing'))`.execute(
    transaction,
  );
  return rows[0];
}

type ImageFile = { key: string; bytes: number; isRendition: boolean };

async function listFiles(transaction: Queryable, imageId: number): Promise<ImageFile[]> {
  const { rows } = await sql<ImageFile>`
    SELECT original_key AS key, coalesce(original_bytes, 0) AS bytes, false AS "isRendition" FROM images
    WHERE id = ${imageId} AND original_key IS NOT NULL
    UNION ALL
    SELECT storage_key, bytes, true FROM renditions WHERE image_id = ${imageId}`.execute(transaction);
  return rows;
}

/** Fingerprints belong to a content, and go with its last image. */
async function forgetContent(
  transaction: Queryable,
  tables: readonly string[],
  { tenantId, contentHash }: ImageContent,
): Promise<void> {
  for (const table of tables)
    await sql`
      DELETE FROM ${sql.table(table)} gone WHERE gone.tenant_id = ${tenantId} AND gone.content_hash = ${contentHash}
        AND NOT EXISTS (SELECT 1 FROM images i WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash})`.execute(
      transaction,
    );
}

async function keepUnnamed(
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
