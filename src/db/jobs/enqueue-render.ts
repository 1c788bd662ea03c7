import { sql } from 'kysely';
import type { DueJob } from '../../model/job.ts';
import type { VariantName } from '../../model/rendition.ts';
import type { Database } from '../database.ts';
import { retrying } from '../engine/retrying.ts';

/** Which variants a `render` job makes. */
export interface RenderRequest {
  readonly imageId: number;
  /** `null` means the variants that the campaign is about. */
  readonly variants: readonly VariantName[] | null;
  readonly priority: number;
  readonly campaignId?: number | null;
}

/** After a job has failed, the same job is not added again for this time. */
const failurePause = sql`interval '1 hour'`;

/** Creates the query that adds a `render` job (→ pending). */
export function makeEnqueueRenderQueries({ sql: db }: Database) {
  return {
    /**
     * Adds a job that makes variants of a completed image. Returns `undefined` if the image is not completed, or if the same
     * job is pending or processing, or has failed a short while ago.
     */
    async enqueueRender({
      imageId,
      variants,
      priority,
      campaignId = null,
    }: RenderRequest): Promise<DueJob | undefined> {
      const list = sql`${variants && JSON.stringify(variants)}::jsonb`;
      const query = sql<DueJob>`
        INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state, variants, campaign_id)
        SELECT 'render', id, tenant_id, content_hash, ${priority}::smallint, 'pending', ${list}, ${campaignId}::bigint
        FROM images WHERE id = ${imageId} AND status = 'completed' AND deleted_at IS NULL AND original_key IS NOT NULL
          AND NOT EXISTS (
            SELECT 1 FROM jobs WHERE image_id = images.id AND kind = 'render'
              AND campaign_id IS NOT DISTINCT FROM ${campaignId}::bigint AND variants IS NOT DISTINCT FROM ${list}
              AND (state IN ('pending', 'processing') OR state = 'failed' AND finished_at > now() - ${failurePause}))
        ON CONFLICT DO NOTHING
        RETURNING id, kind`;
      const { rows } = await retrying(() => query.execute(db));
      return rows[0];
    },
  };
}
