import { sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { Database } from '../database.ts';
import { heldBy } from './fence.ts';

/** Creates the query that completes a `render` job (processing → completed). */
export function makeCompleteRenderQueries({ sql: db }: Database) {
  return {
    /** Completes a job whose variants have been recorded. Returns false if the lease was lost. */
    async completeRender(job: ClaimedJob): Promise<boolean> {
      const { rows } = await sql`
        UPDATE jobs SET state = 'completed', lease_until = NULL, finished_at = now(), error = NULL, error_code = NULL
        WHERE ${heldBy(job)} RETURNING id`.execute(db);
      return rows.length > 0;
    },
  };
}
