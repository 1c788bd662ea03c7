import { setTimeout as sleep } from 'node:timers/promises';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { type AppError, asAppError } from '../errors.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import type { ClaimedJob, FailureClass, JobKind } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { Storage } from '../storage/storage.ts';
import { runUnbound } from '../tenant-scope.ts';
import type { DerivationOutcome } from './derive-image.ts';
import { decideNext, failureStage, type Verdict } from './job-failures.ts';
import type { LeaseKeeper } from './leases.ts';
import type { CompletionEvents } from './wait-for-image.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'recordFailure' | 'withdraw'>;
  readonly storage: Pick<Storage, 'remove'>;
  /** The functions that run jobs, by job kind. */
  readonly work: Readonly<
    Record<
      JobKind,
      (job: ClaimedJob, signal: AbortSignal, localPath?: string) => Promise<DerivationOutcome | 'rendered'>
    >
  >;
  readonly metrics: Pick<Metrics, 'recordJob'>;
  readonly leases: LeaseKeeper;
  readonly completionEvents: Pick<CompletionEvents, 'publish'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly leaseSeconds: number;
  readonly logger: Logger;
}

/** How a job run ended. */
export type JobOutcome =
  /** `image` is not set after a job that only made further variants. */
  | { readonly state: 'completed'; readonly image?: ImageWithRenditions }
  | { readonly state: 'retrying'; readonly delaySeconds: number; readonly error: AppError }
  | { readonly state: 'failed'; readonly error: AppError }
  /** This run recorded nothing, because its lease was lost, the job was handed back, or the image was removed. */
  | { readonly state: 'dropped' };

/** Options for a job run. */
export interface RunOptions {
  /** Path of the original on this machine, if available. */
  readonly localPath?: string;
  /**
   * Whether to remove the image on a permanent failure instead of keeping it as failed. An image that other clients can
   * already see is always kept.
   */
  readonly discardOnFailure?: boolean;
}

/** Runs a claimed job once under its lease and records the outcome. Never rejects. */
export type RunJob = (job: ClaimedJob, options?: RunOptions) => Promise<JobOutcome>;

/** @see RunJob */
export function makeRunJob(deps: Dependencies): RunJob {
  const { metrics } = deps;
  async function run(job: ClaimedJob, options: RunOptions): Promise<JobOutcome> {
    const startTime = performance.now();
    const outcome = await runOnce(deps, job, options);
    const seconds = (performance.now() - startTime) / 1000;
    metrics.recordJob({ kind: job.kind, outcome: outcome.state, seconds });
    return outcome;
  }
  // Unbound, because a job may outlive the upload that started it.
  return (job, options = {}) => runUnbound(() => run(job, options));
}

async function runOnce(deps: Dependencies, job: ClaimedJob, options: RunOptions): Promise<JobOutcome> {
  const { work, leases, logger, completionEvents } = deps;
  const lease = leases.hold(job);
  const startTime = performance.now();
  try {
    const outcome = await work[job.kind](job, lease.signal, options.localPath);
    if (outcome === 'image-removed' || outcome === 'lease-lost')
      return drop(logger, job, dropReasons[outcome]);
    const ms = Math.round(performance.now() - startTime);
    logger.info(
      { job: job.id, image: job.imageId, ms },
      `job ${job.id} (image ${job.imageId}) completed in ${ms} ms`,
    );
    if (outcome === 'rendered') return { state: 'completed' };
    completionEvents.publish(job.imageId, { image: outcome });
    return { state: 'completed', image: outcome };
  } catch (error) {
    if (lease.signal.aborted) return drop(logger, job, String(lease.signal.reason));
    return await handleFailure(deps, job, error, lease.signal, options);
  } finally {
    lease.release();
  }
}

const dropReasons = { 'image-removed': 'the image was removed', 'lease-lost': 'its lease was lost' };

function drop(logger: Logger, job: ClaimedJob, reason: string): JobOutcome {
  logger.warn({ job: job.id, image: job.imageId }, `job ${job.id} (image ${job.imageId}) dropped: ${reason}`);
  return { state: 'dropped' };
}

/** Records a failure, then wakes a worker for the retry or publishes the permanent failure. */
async function handleFailure(
  deps: Dependencies,
  job: ClaimedJob,
  cause: unknown,
  signal: AbortSignal,
  options: RunOptions,
): Promise<JobOutcome> {
  const error = asAppError(cause);
  const verdict = decideNext(job, toAttemptFailureClass(error));
  logFailure(deps.logger, job, error, verdict);
  const isRecorded = await retryUntilRecorded(
    deps,
    job,
    () => recordFailure(deps, job, cause, verdict, options),
    signal,
  );
  if (!isRecorded) return { state: 'dropped' };
  if (verdict.next === 'give-up') {
    // A variant that cannot be made does not concern those who wait for the image itself.
    if (job.kind !== 'render') deps.completionEvents.publish(job.imageId, { error });
    return { state: 'failed', error };
  }
  deps.queue.wake([job], verdict.delaySeconds * 1000);
  return { state: 'retrying', delaySeconds: verdict.delaySeconds, error };
}

/**
 * Returns the class of a failed attempt. `lease-lost` is replaced by `transient`, because this attempt still has its
 * lease.
 */
function toAttemptFailureClass({ failureClass }: AppError): Exclude<FailureClass, 'lease-lost'> {
  return failureClass === 'lease-lost' ? 'transient' : failureClass;
}

/** Returns false if the lease was lost. */
async function recordFailure(
  deps: Dependencies,
  job: ClaimedJob,
  cause: unknown,
  verdict: Verdict,
  { discardOnFailure }: RunOptions,
): Promise<boolean> {
  const error = asAppError(cause);
  const attempt = {
    failureClass: toAttemptFailureClass(error),
    stage: failureStage(cause),
    code: error.code,
    error: error.message,
  };
  if (verdict.next === 'give-up') {
    if (discardOnFailure && (await discardImage(deps, job))) return true;
    return deps.jobs.recordFailure(job, attempt, { state: 'failed' });
  }
  const { delaySeconds, counter } = verdict;
  return deps.jobs.recordFailure(job, attempt, { state: 'pending', delaySeconds, counter });
}

/**
 * Removes the image, its job and its original. Returns false if nothing was removed because the lease was lost or
 * because other clients can see the image.
 */
async function discardImage({ jobs, storage }: Dependencies, job: ClaimedJob): Promise<boolean> {
  const { original } = job;
  if (!original) return false;
  const { key, contentHash } = original;
  return jobs.withdraw(job, { contentHash, removeOriginal: () => storage.remove(key) });
}

/** Delay before trying again to record a failure. It is short, so that processing resumes soon after a database restart. */
const recordRetryMs = 500;

/**
 * Calls `record` until it succeeds, so that a job does not lose its lease because of a lost database connection. Stops
 * when `signal` aborts or the duration of one lease has passed. Another worker then takes over the job.
 * @returns the result of `record`; `undefined` if it did not succeed
 */
async function retryUntilRecorded<T>(
  { leaseSeconds, logger }: Dependencies,
  job: ClaimedJob,
  record: () => Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const deadline = performance.now() + leaseSeconds * 1000;
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      return await record();
    } catch (error) {
      if (attempt === 1) {
        logger.error(
          { job: job.id, image: job.imageId, err: error },
          `failed to record the failure of job ${job.id}; retrying`,
        );
      }
      if (performance.now() + recordRetryMs > deadline) return undefined;
    }
    // When the signal aborts, the sleep ends early, and then the loop ends.
    await sleep(recordRetryMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
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
    const { delaySeconds, retryNumber, maxRetries } = verdict;
    logger.warn(
      fields,
      `${subject} failed (retry ${retryNumber} of ${maxRetries} in ${delaySeconds} s): ${error.message}`,
    );
    return;
  }
  const { retriesUsed } = verdict;
  const afterRetries =
    retriesUsed > 0 ? ` after ${retriesUsed} ${retriesUsed === 1 ? 'retry' : 'retries'}` : '';
  // An invalid picture is the client's problem. Decoder crashes and exhausted retries are the operator's problem.
  const log = error.failureClass === 'permanent' ? logger.warn : logger.error;
  log.call(logger, fields, `${subject} failed permanently${afterRetries}: ${error.message}`);
}
