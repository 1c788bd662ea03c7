import { sql } from 'kysely';
import type { RequestCounts } from '../model/request-counts.ts';
import type { Database } from './database.ts';

/** Counts in the database, which also provides the clock. */
export function makeDatabaseCounts({ sql: db }: Database): RequestCounts {
  return {
    async add(added) {
      const { rows } = await sql<{ now: number; bucket: string | null; total: number | null }>`
        WITH added AS (
          SELECT * FROM jsonb_to_recordset(${JSON.stringify(added)}::jsonb) AS line (bucket text, "window" bigint, requests bigint)),
        totals AS (
          INSERT INTO request_counts AS counts (window_number, bucket, requests)
          -- All processes lock the rows in the same order, so they cannot deadlock.
          SELECT "window", bucket, requests FROM added ORDER BY "window", bucket
          ON CONFLICT (window_number, bucket) DO UPDATE SET requests = counts.requests + excluded.requests
          RETURNING bucket, requests AS total)
        SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now, totals.bucket, totals.total
        FROM (SELECT) AS always LEFT JOIN totals ON true`.execute(db);
      const totalByBucket = new Map(rows.map(({ bucket, total }) => [bucket, total ?? 0]));
      return {
        now: rows[0]?.now ?? Date.now(),
        totals: added.map(({ bucket }) => totalByBucket.get(bucket) ?? 0),
      };
    },
    async removeBefore(window) {
      // Several processes may remove the same rows at the same time.
      await sql`
        DELETE FROM request_counts WHERE (window_number, bucket) IN (
          SELECT window_number, bucket FROM request_counts WHERE window_number < ${window}
          FOR UPDATE SKIP LOCKED)`.execute(db);
    },
    close: () => undefined,
  };
}
