import { sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { Database } from '../database.ts';
import { retrying } from '../engine/retrying.ts';
import { heldBy } from './fence.ts';

/** Creates the query with which a stopping worker returns its jobs (processing → pending). */
export function makeHandBackQueries({ sql: db }: Database) {
  return {
    /** Makes unfinished jobs pending and due immediately. This does not count as a retry. */
    async handBack(jobs: readonly ClaimedJob[]): Promise<void> {
      if (jobs.length === 0) return;
      const query = sql`
        WITH returned_jobs AS (
          UPDATE jobs SET state = 'pending', lease_until = NULL, run_at = now()
          WHERE ${heldBy(...jobs)} RETURNING image_id, kind)
        UPDATE images SET status = 'pending'
        WHERE id IN (SELECT image_id FROM returned_jobs WHERE kind <> 'render') AND status = 'processing'`;
      await retrying(() => query.execute(db));
    },
  };
}
