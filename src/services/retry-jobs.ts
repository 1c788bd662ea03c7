import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { JobReportQueries } from '../db/jobs/job-reports.ts';
import { AppError } from '../errors.ts';
import type { FailureClass, JobReport } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { WorkQueue } from '../queue/queue.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'retry' | 'retryAll'>;
  readonly reports: Pick<JobReportQueries, 'find'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
}

/** Which failed jobs are meant; every given field has to fit. */
export interface FailureCause {
  readonly code?: string | undefined;
  readonly failureClass?: FailureClass | undefined;
  readonly tenant?: string | undefined;
}

/** Gives failed jobs a new set of tries. */
export interface RetryJobs {
  /** @throws {AppError} `job_not_found`; `job_not_failed` when it has not failed, or its image is gone or completed. */
  one(principal: Principal, id: number): Promise<JobReport>;
  /** Retries all failed jobs with one cause; answers how many. */
  all(principal: Principal, cause: FailureCause): Promise<number>;
}

/** @see RetryJobs */
export function makeRetryJobs({ jobs, reports, queue }: Dependencies): RetryJobs {
  return {
    async one(principal, id) {
      const outcome = await jobs.retry(principal, id);
      const job = outcome === 'not-found' ? undefined : await reports.find(principal, id);
      if (!job) throw new AppError('job_not_found', `There is no job ${id}.`);
      if (outcome === 'unfit') throw notFailed(job);
      queue.wake([job]);
      return job;
    },
    async all(principal, cause) {
      const retried = await jobs.retryAll(principal, cause);
      queue.wake(retried);
      return retried.length;
    },
  };
}

function notFailed({ id, state }: JobReport): AppError {
  return new AppError(
    'job_not_failed',
    state === 'failed'
      ? `Job ${id} has failed, but its image was deleted or has had another run since.`
      : `Job ${id} is ${state}; only failed jobs can be retried.`,
  );
}
