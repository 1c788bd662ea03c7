import type { JobQueries } from '../db/jobs/job-queries.ts';
import { type AppError, asAppError } from '../errors.ts';
import type { ClaimedJob, FailureClass, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { Metrics } from '../model/metrics.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { DerivationOutcome } from './derive-image.ts';
import { decideNext, type Verdict } from './failure-policy.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { CompletionEvents } from './completion-events.ts';
import { stageOf } from './stages.ts';
import { untilRecorded } from './until-recorded.ts';
import { imageDeleted } from './wait-for-image.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'recordFailure'>;
  /** What each kind of job does. */
  readonly work: Readonly<
    Record<JobKind, (job: ClaimedJob, signal: AbortSignal, localPath?: string) => Promise<DerivationOutcome>>
  >;
  readonly metrics: Pick<Metrics, 'jobEnded'>;
  readonly leases: LeaseKeeper;
  readonly completionEvents: CompletionEvents;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly leaseSeconds: number;
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
export function makeRunJob(deps: Dependencies): RunJob {
  const { metrics } = deps;
  return async (job, options = {}) => {
    const started = performance.now();
    const outcome = await runOnce(deps, job, options);
    const seconds = (performance.now() - started) / 1000;
    metrics.jobEnded({ kind: job.kind, outcome: outcome.state, seconds });
    return outcome;
  };
}

async function runOnce(deps: Dependencies, job: ClaimedJob, options: RunOptions): Promise<JobOutcome> {
  const { work, leases, logger, completionEvents } = deps;
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
    completionEvents.announce(
      job.imageId,
      outcome.deletedAt ? { error: imageDeleted(job.imageId) } : { image: outcome },
    );
    return { state: 'completed' };
  } catch (error) {
    if (lease.signal.aborted) return dropped(logger, job, String(lease.signal.reason));
    return await fail(deps, job, error, lease.signal, options);
  } finally {
    lease.release();
  }
}

function dropped(logger: Logger, job: ClaimedJob, why: string): JobOutcome {
  logger.warn({ job: job.id, image: job.imageId }, `job ${job.id} (image ${job.imageId}) dropped: ${why}`);
  return { state: 'dropped' };
}

/** A database that is away must not cost the lease: recording is tried until it works, or another holder has the job. */
async function fail(
  deps: Dependencies,
  job: ClaimedJob,
  cause: unknown,
  signal: AbortSignal,
  options: RunOptions,
): Promise<JobOutcome> {
  const error = asAppError(cause);
  const verdict = decideNext(job, classOf(error));
  logFailure(deps.logger, job, error, verdict);
  const recorded = await untilRecorded(() => recordFailure(deps, job, cause, verdict, options), {
    forSeconds: deps.leaseSeconds,
    signal,
    onFailure: (failure) =>
      deps.logger.error(
        { job: job.id, image: job.imageId, err: failure, cause },
        `job ${job.id}: its failure could not be recorded; trying again`,
      ),
  });
  if (!recorded) return { state: 'dropped' };
  return follow(deps, job, error, verdict);
}

function classOf({ failureClass }: AppError): Exclude<FailureClass, 'lease-lost'> {
  return failureClass === 'lease-lost' ? 'transient' : failureClass;
}

/** False when the lease was lost. */
async function recordFailure(
  { jobs }: Dependencies,
  job: ClaimedJob,
  cause: unknown,
  verdict: Verdict,
  { onFinalFailure }: RunOptions,
): Promise<boolean> {
  const error = asAppError(cause);
  const attempt = {
    failureClass: classOf(error),
    stage: stageOf(cause),
    code: error.code,
    error: error.message,
  };
  if (verdict.next === 'give-up')
    return (await onFinalFailure?.(error)) || jobs.recordFailure(job, attempt, { state: 'failed' });
  const { delaySeconds, spend } = verdict;
  return jobs.recordFailure(job, attempt, { state: 'pending', delaySeconds, spend });
}

/** Tells those who wait, once it is recorded. */
function follow(
  { queue, completionEvents }: Dependencies,
  job: ClaimedJob,
  error: AppError,
  verdict: Verdict,
): JobOutcome {
  if (verdict.next === 'give-up') {
    completionEvents.announce(job.imageId, { error });
    return { state: 'failed', error };
  }
  queue.wake([job], verdict.delaySeconds * 1000);
  return { state: 'retrying', delaySeconds: verdict.delaySeconds, error };
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
