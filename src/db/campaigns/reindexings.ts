import { type RawBuilder, sql } from 'kysely';
import type { DueJob } from '../../model/job.ts';
import { type Actor, insertAudit } from '../audit.ts';
import type { Database, Queryable } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import type { VectorSupport } from '../engine/vectors.ts';
import { addJobs, type CampaignProgress, lockCampaign } from './fill.ts';

/** What images are described with. */
export interface DescriptionVersion {
  /** Name of the embedding space. */
  readonly space: string;
  readonly fingerprintVersion: number;
}

/** Number of images that one query checks, and maximum number of such queries in one transaction. */
const windowSize = 1_000;
const maxWindows = 10;

/** Number of embeddings that one statement removes. */
const removalBatch = 2_000;

/** Creates the queries on campaigns that describe images again. */
export function makeReindexingQueries({ sql: db }: Database, vectors: VectorSupport) {
  /** Whether the image `i` lacks the fingerprint or the embedding of this version. Images with the same content share both. */
  const isOutdated = ({ space, fingerprintVersion }: DescriptionVersion): RawBuilder<boolean> => {
    const content = sql`tenant_id = i.tenant_id AND content_hash = i.content_hash`;
    const lacksFingerprint = sql`NOT EXISTS (SELECT 1 FROM fingerprints
      WHERE ${content} AND version = ${fingerprintVersion})`;
    const lacksEmbedding = vectors.isAvailable
      ? sql`NOT EXISTS (SELECT 1 FROM embeddings WHERE ${content} AND space = ${space})`
      : sql`false`;
    return sql`(${lacksFingerprint} OR ${lacksEmbedding})`;
  };

  return {
    /** Counts the images that lack a fingerprint or an embedding of this version. */
    async countOutdatedDescriptions(tenantId: number | null, version: DescriptionVersion): Promise<number> {
      const { rows } = await sql<{ count: number }>`
        SELECT count(*) AS count FROM images i WHERE ${canBeDescribed(tenantId)} AND ${isOutdated(version)}`.execute(
        db,
      );
      return rows[0]?.count ?? 0;
    },

    /** Whether there is or was a campaign for this version, for all tenants. */
    async hasReindexing({ space, fingerprintVersion }: DescriptionVersion): Promise<boolean> {
      const { rows } = await sql`SELECT 1 FROM campaigns
        WHERE space = ${space} AND fingerprint_version = ${fingerprintVersion} AND tenant_id IS NULL LIMIT 1`.execute(
        db,
      );
      return rows.length > 0;
    },

    /**
     * Creates a running campaign without jobs that describes images again. Until it is complete, the images of its tenants are
     * searched in the space in which most of them are. Returns its id.
     */
    createReindexing: (
      actor: Actor,
      {
        tenantId,
        images,
        ...version
      }: DescriptionVersion & { readonly tenantId: number | null; readonly images: number },
    ): Promise<number> =>
      retryingTransaction(db, async (transaction) => {
        const { space, fingerprintVersion } = version;
        const { rows } = await sql<{ id: number }>`
          INSERT INTO campaigns (tenant_id, presets, images, files, created_by, space, fingerprint_version)
          VALUES (${tenantId}, '{}', ${images}, 0, ${actor.subject}, ${space}, ${fingerprintVersion}) RETURNING id`.execute(
          transaction,
        );
        const id = rows[0]?.id ?? 0;
        if (vectors.isAvailable) await keepSearching(transaction, tenantId, space);
        await insertAudit(actor, {
          action: 'campaign.create',
          from: sql`(SELECT id, tenant_id FROM campaigns WHERE id = ${id}) campaign`,
          tenantId: sql`campaign.tenant_id`,
          target: sql`campaign.id::text`,
          details: sql`${JSON.stringify({ images, space, fingerprint_version: fingerprintVersion })}::jsonb`,
        }).execute(transaction);
        return id;
      }),

    /** Adds jobs for the next images of a campaign, as `fill` does. Returns the added jobs. */
    fillReindexing: (
      campaignId: number,
      version: DescriptionVersion,
      maxPending: number,
    ): Promise<DueJob[]> =>
      retryingTransaction(db, async (transaction) => {
        const progress = await lockCampaign(transaction, campaignId);
        if (!progress || progress.pending > maxPending / 2) return [];
        const next = await chooseImages(
          transaction,
          progress,
          isOutdated(version),
          maxPending - progress.pending,
        );
        return addJobs(transaction, campaignId, next);
      }),

    /**
     * Ends the search in an older space for the tenants of a completed campaign, and removes the embeddings that have been
     * replaced.
     */
    async switchSpace(campaignId: number, space: string): Promise<void> {
      if (!vectors.isAvailable) return;
      const { rows } = await sql<{ tenantId: number | null }>`
        SELECT tenant_id AS "tenantId" FROM campaigns WHERE id = ${campaignId}`.execute(db);
      const tenantId = rows[0]?.tenantId ?? null;
      await sql`DELETE FROM search_spaces WHERE ${isOf(tenantId)}`.execute(db);
      for (;;) {
        const removed = await sql`
          DELETE FROM embeddings WHERE ctid = ANY (ARRAY(
            SELECT old.ctid FROM embeddings old WHERE ${isOf(tenantId)} AND old.space <> ${space}
              AND EXISTS (SELECT 1 FROM embeddings e WHERE e.tenant_id = old.tenant_id
                AND e.content_hash = old.content_hash AND e.space = ${space})
            LIMIT ${removalBatch}))`.execute(db);
        if (Number(removed.numAffectedRows ?? 0) < removalBatch) return;
      }
    },

    /** Returns the version of a campaign that describes images again; `undefined` if it re-renders them. */
    async findDescriptionVersion(campaignId: number): Promise<DescriptionVersion | undefined> {
      const { rows } = await sql<DescriptionVersion>`
        SELECT space, fingerprint_version AS "fingerprintVersion" FROM campaigns
        WHERE id = ${campaignId} AND space IS NOT NULL`.execute(db);
      return rows[0];
    },
  };
}

function isOf(tenantId: number | null): RawBuilder<boolean> {
  return tenantId === null ? sql`true` : sql`tenant_id = ${tenantId}`;
}

function canBeDescribed(tenantId: number | null): RawBuilder<boolean> {
  return sql`i.status = 'completed' AND i.deleted_at IS NULL AND i.duplicate_of IS NULL AND i.original_key IS NOT NULL
    AND ${tenantId === null ? sql`true` : sql`i.tenant_id = ${tenantId}`}`;
}

/** Records, for each tenant with embeddings in other spaces, the one with the most. */
async function keepSearching(transaction: Queryable, tenantId: number | null, space: string): Promise<void> {
  await sql`
    INSERT INTO search_spaces (tenant_id, space)
    SELECT DISTINCT ON (tenant_id) tenant_id, space FROM (
      SELECT tenant_id, space, count(*) AS vectors FROM embeddings
      WHERE ${isOf(tenantId)} AND space <> ${space} GROUP BY tenant_id, space) others
    ORDER BY tenant_id, vectors DESC, space
    ON CONFLICT (tenant_id) DO NOTHING`.execute(transaction);
}

/** Chooses the next outdated images. */
async function chooseImages(
  transaction: Queryable,
  { tenantId, lastImageId }: CampaignProgress,
  isOutdated: RawBuilder<boolean>,
  room: number,
): Promise<{ imageIds: number[]; lastImageId: number; hasAllJobs: boolean }> {
  const imageIds: number[] = [];
  let lastId = lastImageId;
  for (let windows = 0; windows < maxWindows && imageIds.length < room; windows++) {
    const { rows } = await sql<{ id: number; isOutdated: boolean }>`
      SELECT i.id, ${isOutdated} AS "isOutdated" FROM images i WHERE i.id > ${lastId} AND ${canBeDescribed(tenantId)}
      ORDER BY i.id LIMIT ${windowSize}`.execute(transaction);
    for (const row of rows) {
      if (imageIds.length === room) return { imageIds, lastImageId: lastId, hasAllJobs: false };
      if (row.isOutdated) imageIds.push(row.id);
      lastId = row.id;
    }
    if (rows.length < windowSize) return { imageIds, lastImageId: lastId, hasAllJobs: true };
  }
  return { imageIds, lastImageId: lastId, hasAllJobs: false };
}
