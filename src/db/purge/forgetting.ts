import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database.ts';
import type { VectorSupport } from '../engine/vectors.ts';

/** Queries that remove rows which nothing needs any more. */
export type ForgetQueries = ReturnType<typeof makeForgetQueries>;

/** Rows removed per statement: removing millions at once would exceed the statement timeout. */
const batchSize = 5_000;

/** Deleting an import cascades to up to 1,000 lines. */
const importBatchSize = 50;

/** Queries that remove rows by age, in batches. Each returns the number of removed rows. */
export function makeForgetQueries({ sql: db }: Database, vectors: VectorSupport) {
  /** Repeats a statement until it removes less than a full batch. */
  async function inBatches(size: number, remove: (limit: number) => RawBuilder<unknown>): Promise<number> {
    for (let removed = 0; ; ) {
      const { rows } = await remove(size).execute(db);
      removed += rows.length;
      if (rows.length < size) return removed;
    }
  }

  return {
    /** Finished jobs of one state. */
    jobs: (state: 'completed' | 'failed', days: number): Promise<number> =>
      inBatches(
        batchSize,
        (limit) => sql`
          DELETE FROM jobs WHERE id = ANY (ARRAY(
            SELECT id FROM jobs WHERE state = ${state} AND finished_at < ${before(days)}
            ORDER BY finished_at LIMIT ${limit}))
          RETURNING id`,
      ),

    /** Imports with their lines; their images stay. An import whose images are still being processed stays as well. */
    imports: (days: number): Promise<number> =>
      inBatches(
        importBatchSize,
        (limit) => sql`
          DELETE FROM imports WHERE id = ANY (ARRAY(
            SELECT id FROM imports WHERE created_at < ${before(days)} AND NOT EXISTS (
              SELECT 1 FROM import_lines l JOIN images i ON i.id = l.image_id
              WHERE l.import_id = imports.id AND i.status IN ('pending', 'processing') AND i.deleted_at IS NULL)
            ORDER BY created_at LIMIT ${limit}))
          RETURNING id`,
      ),

    /** Images whose import failed before it received any bytes, and that have no references. They have no files. */
    imagesWithoutContent: (days: number): Promise<number> => {
      const isForgotten = sql`status = 'failed' AND content_hash IS NULL AND deleted_at IS NULL AND in_use_count = 0
        AND updated_at < ${before(days)}`;
      return inBatches(
        batchSize,
        (limit) => sql`
          -- Looked at again once the row is held: a retry may have begun.
          DELETE FROM images WHERE ${isForgotten} AND id = ANY (ARRAY(
            SELECT id FROM images WHERE ${isForgotten} ORDER BY updated_at LIMIT ${limit}))
          RETURNING id`,
      );
    },

    /**
     * Tenants without recent writes that have no image (including deleted ones), no job and no import. Their name may
     * be used again, as a new tenant. Every write for a tenant first records its use, which excludes the tenant here.
     */
    tenants: (days: number): Promise<number> => {
      const contents = vectors.isAvailable ? ['fingerprints', 'embeddings'] : ['fingerprints'];
      const has = ['images', 'jobs', 'imports', ...contents].map(
        (table) => sql`EXISTS (SELECT 1 FROM ${sql.table(table)} WHERE tenant_id = tenants.id)`,
      );
      return inBatches(
        batchSize,
        (limit) => sql`
          WITH forgotten AS (
            DELETE FROM tenants WHERE used_at < ${before(days)} AND id = ANY (ARRAY(
              SELECT id FROM tenants WHERE used_at < ${before(days)} AND NOT (${sql.join(has, sql` OR `)})
                -- They are about to become a row of usage_totals.
                AND id <> ALL (ARRAY(SELECT tenant_id FROM usage_deltas))
              ORDER BY used_at LIMIT ${limit}))
            RETURNING id),
          counters AS (DELETE FROM usage_totals USING forgotten WHERE tenant_id = forgotten.id)
          SELECT id FROM forgotten`,
      );
    },
  };
}

function before(days: number): RawBuilder<Date> {
  return sql`now() - make_interval(days => ${days})`;
}
