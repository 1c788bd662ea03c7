import { sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { Database } from '../database.ts';
import { heldBy } from './fence.ts';

/** Creates the query that renews leases. The jobs stay in `processing`. */
export function makeHeartbeatQueries({ sql: db }: Database) {
  return {
    /** Renews the leases of these jobs. Requires at least one job. Returns the jobs whose claims are still valid. */
    async renewLeases(jobs: readonly ClaimedJob[], leaseSeconds: number): Promise<Set<ClaimedJob>> {
      const { rows } = await sql<{ id: number; token: number }>`
        UPDATE jobs SET lease_until = now() + make_interval(secs => ${leaseSeconds})
        WHERE ${heldBy(...jobs)} RETURNING id, lease_token AS token`.execute(db);
      const tokens = new Map(rows.map(({ id, token }) => [id, token]));
      return new Set(jobs.filter((job) => tokens.get(job.id) === job.leaseToken));
    },
  };
}
