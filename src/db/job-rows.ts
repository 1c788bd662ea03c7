import type { Selectable } from 'kysely';
import type { ClaimedJob } from '../model/job.ts';
import type { Schema } from './schema.ts';

/** Columns that a holder of a job needs. */
export const claimedColumns = [
  'jobs.id',
  'jobs.kind',
  'jobs.image_id',
  'jobs.tenant_id',
  'jobs.lease_token',
  'jobs.priority',
  'jobs.retries',
  'jobs.crashes',
  'jobs.lease_losses',
] as const;

type ClaimedRow = Pick<
  Selectable<Schema['jobs']>,
  | 'id'
  | 'kind'
  | 'image_id'
  | 'tenant_id'
  | 'lease_token'
  | 'priority'
  | 'retries'
  | 'crashes'
  | 'lease_losses'
>;

/** The job that a row stands for. Only failed jobs outlive their images, so a claimed one always has an image. */
export function toClaimedJob(row: ClaimedRow): ClaimedJob {
  if (row.image_id === null) throw new Error(`Job ${row.id} was claimed without an image.`);
  return {
    id: row.id,
    kind: row.kind,
    imageId: row.image_id,
    tenantId: row.tenant_id,
    leaseToken: row.lease_token,
    priority: row.priority,
    retries: row.retries,
    crashes: row.crashes,
    leaseLosses: row.lease_losses,
  };
}
