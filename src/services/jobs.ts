import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { JobReportQueries } from '../db/jobs/job-reports.ts';
import { AppError } from '../errors.ts';
import type { FailureClass, JobReport } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { WorkQueue } from '../queue/queue.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'retry' | 'retryAll'>;
  readonly reports: Pick<JobReportQueries, 'list' | 'find'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
}

/** Selects failed jobs. A job must match every given field. */
export interface FailureCause {
  readonly code?: string | undefined;
  readonly failureClass?: FailureClass | undefined;
  readonly tenant?: string | undefined;
}

/** Lets operators inspect jobs and retry failed ones. */
export interface Jobs {
  /** Lists jobs, newest first. */
  readonly list: JobReportQueries['list'];
  /** @throws {AppError} `job_not_found`. */
  find(principal: Principal, id: number): Promise<JobReport>;
  /**
   * Gives a failed job a new set of attempts.
   * @throws {AppError} `job_not_found`; `job_not_failed` also if its image was deleted or has completed since.
   */
  retry(principal: Principal, id: number): Promise<JobReport>;
  /** Retries all failed jobs with one cause. Returns their number. */
  retryAll(principal: Principal, cause: FailureCause): Promise<number>;
}

/** @see Jobs */
export function makeJobs({ jobs, reports, queue }: Dependencies): Jobs {
  async function find(principal: Principal, id: number): Promise<JobReport> {
    const job = await reports.find(principal, id);
    if (!job) throw new AppError('job_not_found', `There is no job ${id}.`);
    return job;
  }

  return {
    list: (principal, filter, page) => reports.list(principal, filter, page),
    find,
    async retry(principal, id) {
      const outcome = await jobs.retry(principal, id);
      const job = await find(principal, id);
      if (outcome === 'not-retryable') throw notFailed(job);
      queue.wake([job]);
      return job;
    },
    async retryAll(principal, cause) {
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
