import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { JobReportQueries } from '../db/jobs/job-reports.ts';
import { AppError } from '../errors.ts';
import type { FailureClass, JobReport } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { WorkQueue } from '../queue/queue.ts';
import { assertTenantAllowed } from './tenants.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'retry' | 'retryAll'>;
  readonly reports: Pick<JobReportQueries, 'list' | 'find'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
}

/** Selects failed jobs. A job must match every field that is set. */
export interface FailedJobFilter {
  readonly code?: string | undefined;
  readonly failureClass?: FailureClass | undefined;
  readonly tenant?: string | undefined;
}

/** Lets operators inspect jobs and retry failed jobs. */
export interface Jobs {
  /** Lists jobs, newest first. */
  readonly list: JobReportQueries['list'];
  /** Returns a job. @throws {AppError} `job_not_found`. */
  find(principal: Principal, id: number): Promise<JobReport>;
  /**
   * Requeues a failed job and resets its retries.
   * @throws {AppError} `job_not_found`; `job_not_failed` if the job has not failed, or if its image has since been
   *   deleted or processed again.
   */
  retry(principal: Principal, id: number): Promise<JobReport>;
  /** Retries all failed jobs that match `filter`. Returns the number of retried jobs. */
  retryAll(principal: Principal, filter: FailedJobFilter): Promise<number>;
}

/** @see Jobs */
export function makeJobs({ jobs, reports, queue }: Dependencies): Jobs {
  async function find(principal: Principal, id: number): Promise<JobReport> {
    const job = await reports.find(principal, id);
    if (!job) throw new AppError('job_not_found', `There is no job ${id}.`);
    return job;
  }

  return {
    async list(principal, filter, page) {
      assertTenantAllowed(principal, filter.tenant);
      return reports.list(principal, filter, page);
    },
    find,
    async retry(principal, id) {
      const outcome = await jobs.retry(principal, id);
      const job = await find(principal, id);
      if (outcome === 'not-retryable') throw notRetryable(job);
      queue.wake([job]);
      return job;
    },
    async retryAll(principal, filter) {
      assertTenantAllowed(principal, filter.tenant);
      const retriedJobs = await jobs.retryAll(principal, filter);
      queue.wake(retriedJobs);
      return retriedJobs.length;
    },
  };
}

function notRetryable({ id, state }: JobReport): AppError {
  return new AppError(
    'job_not_failed',
    state === 'failed'
      ? `Job ${id} failed, but its image has since been deleted or processed again.`
      : `Job ${id} is ${state}; only failed jobs can be retried.`,
  );
}
