import { sql } from 'kysely';
import type { Embedding, Fingerprint } from '../../model/fingerprint.ts';
import type { ClaimedJob } from '../../model/job.ts';
import type { Database } from '../database.ts';
import { retrying } from '../engine/retrying.ts';
import type { VectorSupport } from '../engine/vectors.ts';
import { upsertEmbedding } from '../images/embeddings.ts';
import { upsertFingerprint, upsertHashes } from '../images/fingerprints.ts';
import { heldBy } from './fence.ts';

/** Creates the queries that complete a `render` job (processing → completed). */
export function makeCompleteRenderQueries(
  { sql: db }: Database,
  { isAvailable: canStoreEmbeddings }: VectorSupport,
) {
  return {
    /** Completes a job whose variants have been recorded. Returns false if the lease was lost. */
    async completeRender(job: ClaimedJob): Promise<boolean> {
      const { rows } = await sql`
        UPDATE jobs SET state = 'completed', lease_until = NULL, finished_at = now(), error = NULL, error_code = NULL
        WHERE ${heldBy(job)} RETURNING id`.execute(db);
      return rows.length > 0;
    },

    /**
     * Completes a job that has described the picture again, and records the description unless the image has been removed.
     * Returns false if the lease was lost.
     */
    async completeDescription(
      job: ClaimedJob,
      { fingerprint, embedding }: { readonly fingerprint: Fingerprint; readonly embedding: Embedding },
    ): Promise<boolean> {
      const image = sql`described_image`;
      const parts = [
        sql`completed_job AS (
          UPDATE jobs SET state = 'completed', lease_until = NULL, finished_at = now(), error = NULL, error_code = NULL
          WHERE ${heldBy(job)} RETURNING image_id)`,
        sql`described_image AS (
          SELECT i.* FROM images i JOIN completed_job ON completed_job.image_id = i.id
          WHERE i.content_hash = ${job.original?.contentHash})`,
        sql`written_fingerprint AS (${upsertFingerprint(image, fingerprint)})`,
        sql`written_hashes AS (${upsertHashes(image, job.tenantId, fingerprint)})`,
      ];
      if (canStoreEmbeddings) parts.push(sql`written_embedding AS (${upsertEmbedding(image, embedding)})`);
      const query = sql`WITH ${sql.join(parts)} SELECT 1 FROM completed_job`;
      const { rows } = await retrying(() => query.execute(db));
      return rows.length > 0;
    },
  };
}
