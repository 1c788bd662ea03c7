import type { Database } from '../../../src/db/database.ts';
import type { NewUpload } from '../../../src/db/jobs/enqueue.ts';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import type { ClaimedJob, FailedAttempt, FailureClass, JobKind } from '../../../src/model/job.ts';
import { uploadOf } from './records.ts';

/** Records a pending image with its job. Returns their ids. */
export async function recordPending(
  database: Database,
  tenantId: number,
  content: string,
  more: Partial<NewUpload> = {},
): Promise<{ jobId: number; imageId: number }> {
  const recorded = await makeJobQueries(database).enqueueUpload(uploadOf(tenantId, content, more));
  if (recorded.outcome === 'known') throw new Error(`${content} is known.`);
  return { jobId: recorded.job.id, imageId: recorded.imageId };
}

/** Claims the only due job. */
export async function claimOne(
  database: Database,
  leaseSeconds = 60,
  kind: JobKind = 'derive',
): Promise<ClaimedJob> {
  const [job, ...more] = await makeJobQueries(database).claimDue(kind, 2, leaseSeconds);
  if (!job || more.length > 0) throw new Error(`${job ? 'Several jobs are' : 'No job is'} due.`);
  return job;
}

/** Returns a failed attempt of the given class. */
export function attemptOf(failureClass: FailureClass): Omit<FailedAttempt, 'at'> {
  return { failureClass, stage: 'decode', code: `${failureClass}_code`, error: `A ${failureClass} failure.` };
}

/** Makes a job due now. */
export async function makeDue(database: Database, jobId: number): Promise<void> {
  await database.runScript(`UPDATE jobs SET run_at = now() WHERE id = ${jobId}`);
}
