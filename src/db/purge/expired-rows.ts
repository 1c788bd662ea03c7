import { type RawBuilder, sql } from 'kysely';
import { systemPrincipal } from '../../model/principal.ts';
import { insertAudit } from '../audit.ts';
import type { Database } from '../database.ts';
import type { VectorSupport } from '../engine/vectors.ts';

/** Queries that remove expired rows in batches. Each query returns the number of removed rows. */
export type ExpiredRowQueries = ReturnType<typeof makeExpiredRowQueries>;

/** Number of rows removed per statement. Removing millions of rows at once would exceed the statement timeout. */
const batchSize = 5_000;

/** Number of imports removed per statement. Each removal cascades to up to 1,000 lines. */
const importBatchSize = 50;

/** @see ExpiredRowQueries */
export function makeExpiredRowQueries({ sql: db }: Database, vectors: VectorSupport) {
  /** Repeats a statement until it removes fewer rows than a full batch. */
  async function removeInBatches(
    size: number,
    remove: (limit: number) => RawBuilder<unknown>,
  ): Promise<number> {
    for (let removedCount = 0; ; ) {
      const { rows } = await remove(size).execute(db);
      removedCount += rows.length;
      if (rows.length < size) return removedCount;
    }
  }

  return {
    /** Removes jobs that reached this state more than `days` days ago, except those of a campaign that has not ended. */
    removeJobs: (state: 'completed' | 'failed', days: number): Promise<number> =>
      removeInBatches(
        batchSize,
        (limit) => sql`
          DELETE FROM jobs WHERE id = ANY (ARRAY(
            SELECT id FROM jobs WHERE state = ${state} AND finished_at < ${daysAgo(days)}
              -- A correlated subquery would be estimated to drop half of the rows, and the planner would scan the table.
              AND (campaign_id IS NULL OR campaign_id <> ALL (ARRAY(SELECT id FROM campaigns WHERE done IS NULL)))
            ORDER BY finished_at LIMIT ${limit}))
          RETURNING id`,
      ),

    /** Removes imports and their lines, but not their images. Keeps imports with images that are still being processed. */
    removeImports: (days: number): Promise<number> =>
      removeInBatches(
        importBatchSize,
        (limit) => sql`
          DELETE FROM imports WHERE id = ANY (ARRAY(
            SELECT id FROM imports WHERE created_at < ${daysAgo(days)} AND NOT EXISTS (
              SELECT 1 FROM import_lines l JOIN images i ON i.id = l.image_id
              WHERE l.import_id = imports.id AND i.status IN ('pending', 'processing') AND i.deleted_at IS NULL)
            ORDER BY created_at LIMIT ${limit}))
          RETURNING id`,
      ),

    /** Removes the responses to requests with an `Idempotency-Key` after a day. */
    removeIdempotentRequests: (): Promise<number> =>
      removeInBatches(
        batchSize,
        (limit) => sql`
          DELETE FROM idempotent_requests WHERE (owner, idempotency_key) IN (
            SELECT owner, idempotency_key FROM idempotent_requests WHERE created_at < ${daysAgo(1)}
            ORDER BY created_at LIMIT ${limit})
          RETURNING 1 AS removed`,
      ),

    /** Removes unreferenced images whose import failed before it received any bytes. These images have no files. */
    removeImagesWithoutContent: (days: number): Promise<number> => {
      const isExpired = sql`status = 'failed' AND content_hash IS NULL AND deleted_at IS NULL AND in_use_count = 0
        AND updated_at < ${daysAgo(days)}`;
      return removeInBatches(
        batchSize,
        (limit) => sql`
          WITH removed_images AS (
            -- The condition is repeated, because the import may be retried before its row is locked.
            DELETE FROM images WHERE ${isExpired} AND id = ANY (ARRAY(
              SELECT id FROM images WHERE ${isExpired} ORDER BY updated_at LIMIT ${limit}))
            RETURNING id, uuid, tenant_id),
          written_entries AS (${insertAudit(systemPrincipal, {
            action: 'image.purge',
            from: sql`removed_images`,
            tenantId: sql`removed_images.tenant_id`,
            target: sql`removed_images.uuid::text`,
            details: sql`'{"reason": "failed import"}'::jsonb`,
          })})
          SELECT id FROM removed_images`,
      );
    },

    /**
     * Removes tenants that were last used more than `days` days ago and have no images (including deleted images), jobs, imports,
     * API keys or settings of their own. Their names can be used again for new tenants. Each write first records that its tenant is in use, which
     * protects the tenant from removal.
     */
    removeTenants: (days: number): Promise<number> => {
      const contentTables = ['fingerprints', 'frame_hashes', ...(vectors.isAvailable ? ['embeddings'] : [])];
      const rowExistsConditions = ['images', 'jobs', 'imports', 'api_keys', ...contentTables].map(
        (table) => sql`EXISTS (SELECT 1 FROM ${sql.table(table)} WHERE tenant_id = tenants.id)`,
      );
      return removeInBatches(
        batchSize,
        (limit) => sql`
          WITH removed_tenants AS (
            DELETE FROM tenants WHERE used_at < ${daysAgo(days)} AND settings = '{}' AND id = ANY (ARRAY(
              SELECT id FROM tenants WHERE used_at < ${daysAgo(days)} AND settings = '{}' AND NOT (${sql.join(rowExistsConditions, sql` OR `)})
                -- Tenants with rows in usage_deltas are kept until these rows have been added to usage_totals.
                AND id <> ALL (ARRAY(SELECT tenant_id FROM usage_deltas))
              ORDER BY used_at LIMIT ${limit}))
            RETURNING id),
          removed_totals AS (DELETE FROM usage_totals USING removed_tenants WHERE tenant_id = removed_tenants.id)
          SELECT id FROM removed_tenants`,
      );
    },
  };
}

function daysAgo(days: number): RawBuilder<Date> {
  return sql`now() - make_interval(days => ${days})`;
}
