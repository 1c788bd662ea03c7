import type { Database } from '../../../src/db/database.ts';
import type { NewUpload } from '../../../src/db/jobs/enqueue.ts';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import type { ClaimedJob, FailedAttempt, FailureClass, JobKind } from '../../../src/model/job.ts';
import { makeUpload } from './records.ts';

/** Records a pending image with its job. Returns their ids. */
export async function recordPending(
  database: Database,
  tenantId: number,
  content: string,
  overrides: Partial<NewUpload> = {},
): Promise<{ jobId: number; imageId: number }> {
  const result = await makeJobQueries(database).enqueueUpload(makeUpload(tenantId, content, overrides));
  if (result.outcome === 'known') throw new Error(`${content} is already known.`);
  return { jobId: result.job.id, imageId: result.imageId };
}

/** Claims the only due job. */
export async function claimOne(
  database: Database,
  leaseSeconds = 60,
  kind: JobKind = 'derive',
): Promise<ClaimedJob> {
  const [job, ...otherJobs] = await makeJobQueries(database).claimDue(kind, 2, leaseSeconds);
  if (!job || otherJobs.length > 0) throw new Error(`${job ? 'Several jobs are' : 'No job is'} due.`);
  return job;
}

/** Returns a failed attempt with the given failure class. */
export function makeFailedAttempt(failureClass: FailureClass): Omit<FailedAttempt, 'at'> {
  return { failureClass, stage: 'decode', code: `${failureClass}_code`, error: `A ${failureClass} failure.` };
}

/** Makes a job due now. */
export async function makeDue(database: Database, jobId: number): Promise<void> {
  await database.runScript(`UPDATE jobs SET run_at = now() WHERE id = ${jobId}`);
}
