import { type RawBuilder, sql } from 'kysely';
import type { ClaimedJob, JobKind } from '../../model/job.ts';
import type { Queryable } from '../database.ts';

/** A claimed job with what its holder needs of its image. */
export interface ClaimedRow {
  readonly id: number;
  readonly kind: JobKind;
  readonly image_id: number | null;
  readonly tenant_id: number;
  readonly lease_token: number;
  readonly priority: number;
  readonly retries: number;
  readonly crashes: number;
  readonly lease_losses: number;
  readonly original_key: string | null;
  readonly content_hash: string | null;
  readonly source_url: string | null;
  readonly is_first_run: boolean;
}

/** The job that a row stands for. Only failed jobs outlive their images, so a claimed one always has an image. */
export function toClaimedJob(row: ClaimedRow): ClaimedJob {
  if (row.image_id === null) throw new Error(`Job ${row.id} was claimed without an image.`);
  const { original_key: key, content_hash: contentHash } = row;
  return {
    id: row.id,
    kind: row.kind,
    imageId: row.image_id,
    tenantId: row.tenant_id,
    original: key && contentHash ? { key, contentHash } : null,
    sourceUrl: row.source_url,
    isFirstRun: row.is_first_run,
    leaseToken: row.lease_token,
    priority: row.priority,
    retries: row.retries,
    crashes: row.crashes,
    leaseLosses: row.lease_losses,
  };
}

/** Condition on `jobs`: the job is still held under this claim. */
export function isHeld(job: ClaimedJob): RawBuilder<boolean> {
  return sql`jobs.id = ${job.id} AND jobs.lease_token = ${job.leaseToken} AND jobs.state = 'processing'`;
}

/** Locks a job until the transaction ends, before the row of its image; false if it is no longer held. */
export async function lockHeldJob(transaction: Queryable, job: ClaimedJob): Promise<boolean> {
  const { rows } = await sql`SELECT 1 FROM jobs WHERE ${isHeld(job)} FOR UPDATE`.execute(transaction);
  return rows.length > 0;
}
