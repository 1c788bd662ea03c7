import type { JobQueries } from '../db/jobs.ts';
import { type AppError, asAppError } from '../errors.ts';
import type { ClaimedJob, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { Metrics } from '../model/metrics.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { DerivationOutcome } from './derive-image.ts';
import { decideNext, type Verdict } from './failure-policy.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { Settlements } from './settlements.ts';
import { stageOf } from './stages.ts';

interface Parts {
  readonly jobs: Pick<JobQueries, 'recordFailure'>;
  /** What each kind of job does. */
  readonly work: Readonly<
    Record<JobKind, (job: ClaimedJob, signal: AbortSignal, localPath?: string) => Promise<DerivationOutcome>>
  >;
  readonly metrics: Pick<Metrics, 'jobEnded'>;
  readonly leases: LeaseKeeper;
  readonly settlements: Settlements;
  readonly queue: WorkQueue;
  readonly logger: Logger;
}

/** How one run of a job ended. */
export type JobOutcome =
  | { readonly state: 'completed' }
  | { readonly state: 'retrying'; readonly delaySeconds: number; readonly error: AppError }
  | { readonly state: 'failed'; readonly error: AppError }
  /** Another holder has it, or nobody needs it: whatever this run did was not written. */
  | { readonly state: 'dropped' };

/** Settings of one run. */
export interface RunOptions {
  /** The original on this machine, when the caller has it at hand. */
  readonly localPath?: string;
  /** Asked instead of recording a final failure: an inline upload is taken back and not kept as failed. */
  readonly onFinalFailure?: (error: AppError) => Promise<boolean>;
}

/** Runs a claimed job once, under its lease, and records how it ended. Never fails. */
export type RunJob = (job: ClaimedJob, options?: RunOptions) => Promise<JobOutcome>;

/** @see RunJob */
export function makeRunJob(parts: Parts): RunJob {
  const { metrics } = parts;
  return async (job, options = {}) => {
    const started = performance.now();
    const outcome = await runOnce(parts, job, options);
    const seconds = (performance.now() - started) / 1000;
    metrics.jobEnded({ kind: job.kind, outcome: outcome.state, seconds });
    return outcome;
  };
}

async function runOnce(parts: Parts, job: ClaimedJob, options: RunOptions): Promise<JobOutcome> {
  const { work, leases, logger, settlements } = parts;
  const lease = leases.hold(job);
  const started = performance.now();
  try {
    const outcome = await work[job.kind](job, lease.signal, options.localPath);
    if (typeof outcome === 'string') return dropped(logger, job, outcome);
    const ms = Math.round(performance.now() - started);
    logger.info(
      { job: job.id, image: job.imageId, ms },
      `job ${job.id} (image ${job.imageId}) completed in ${ms} ms`,
    );
    settlements.announce(job.imageId, { image: outcome });
    return { state: 'completed' };
  } catch (error) {
    if (lease.signal.aborted) return dropped(logger, job, String(lease.signal.reason));
    return await fail(parts, job, error, options);
  } finally {
    lease.release();
  }
}

function dropped(logger: Logger, job: ClaimedJob, why: string): JobOutcome {
  logger.warn({ job: job.id, image: job.imageId }, `job ${job.id} (image ${job.imageId}) dropped: ${why}`);
  return { state: 'dropped' };
}

/** A database that is away makes even recording fail: the lease then runs out and another worker takes over. */
async function fail(parts: Parts, job: ClaimedJob, cause: unknown, options: RunOptions): Promise<JobOutcome> {
  try {
    return await recordFailure(parts, job, cause, options);
  } catch (error) {
    parts.logger.error(
      { job: job.id, image: job.imageId, err: error, cause },
      `job ${job.id}: its failure could not be recorded`,
    );
    return { state: 'dropped' };
  }
}

async function recordFailure(
  parts: Parts,
  job: ClaimedJob,
  cause: unknown,
  options: RunOptions,
): Promise<JobOutcome> {
  const error = asAppError(cause);
  const failureClass = error.failureClass === 'lease-lost' ? 'transient' : error.failureClass;
  const attempt = { failureClass, stage: stageOf(cause), code: error.code, error: error.message };
  const verdict = decideNext(job, failureClass);
  logFailure(parts.logger, job, error, verdict);
  if (verdict.next === 'retry') {
    const { delaySeconds, spend } = verdict;
    if (!(await parts.jobs.recordFailure(job, attempt, { state: 'pending', delaySeconds, spend })))
      return { state: 'dropped' };
    setTimeout(() => parts.queue.wake(), delaySeconds * 1000).unref();
    return { state: 'retrying', delaySeconds, error };
  }
  const recorded =
    (await options.onFinalFailure?.(error)) ||
    (await parts.jobs.recordFailure(job, attempt, { state: 'failed' }));
  if (!recorded) return { state: 'dropped' };
  parts.settlements.announce(job.imageId, { error });
  return { state: 'failed', error };
}

function logFailure(logger: Logger, job: ClaimedJob, error: AppError, verdict: Verdict): void {
  const fields = {
    job: job.id,
    image: job.imageId,
    code: error.code,
    failureClass: error.failureClass,
    err: error.cause,
  };
  const subject = `job ${job.id} (image ${job.imageId})`;
  if (verdict.next === 'retry') {
    const { delaySeconds, attempt, of } = verdict;
    logger.warn(
      fields,
      `${subject} failed, retrying in ${delaySeconds}s (attempt ${attempt}/${of}): ${error.message}`,
    );
    return;
  }
  const after =
    verdict.tries > 0 ? ` after ${verdict.tries} ${verdict.tries === 1 ? 'retry' : 'retries'}` : '';
  // A bad picture is its sender's concern; a picture that stops the decoder, or work that cannot be done, is ours.
  const log = error.failureClass === 'permanent' ? logger.warn : logger.error;
  log.call(logger, fields, `${subject} failed permanently${after}: ${error.message}`);
}
