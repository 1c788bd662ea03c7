import { LRUCache } from 'lru-cache';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError } from '../errors.ts';
import type { Image } from '../model/image.ts';
import { priorities } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'requeue'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly logger: Logger;
}

/** Requeues the job of an image that lacks a rendition. Always throws `rendition_not_ready`. */
export type RequeueAndThrow = (image: Image, preset: string) => Promise<never>;

/** If a job does not create the rendition, the next job starts at least this many milliseconds later. */
const retryPauseMs = 60_000;

/** Maximum number of renditions whose requests are tracked. */
const maxTrackedRenditions = 1_000;

/**
 * Creates a function that starts a job if a rendition is truncated or missing from storage. If the job does not create
 * the rendition, the worker probably uses different presets or different storage. Starting a job for every read would
 * then waste the worker's time.
 */
export function makeRequeueAndThrow({ jobs, queue, logger }: Dependencies): RequeueAndThrow {
  /** For each recently requested rendition, the time at which its image was last processed before the request. */
  const recentRequests = new LRUCache<string, { readonly lastRunTime: number }>({
    max: maxTrackedRenditions,
    ttl: retryPauseMs,
  });

  return async (image, preset) => {
    const key = `${image.id}/${preset}`;
    const lastRunTime = image.processedAt?.getTime() ?? 0;
    const earlierRequest = recentRequests.get(key);
    if (earlierRequest && earlierRequest.lastRunTime !== lastRunTime) throw stillMissing(image, preset);
    if (!earlierRequest) recentRequests.set(key, { lastRunTime });
    const job = await jobs.requeue(image.id, priorities.single);
    if (job) queue.wake([job]);
    throw new AppError(
      'rendition_not_ready',
      `The rendition "${preset}" of image ${image.id} is missing and is being re-created from the original.`,
    );
  };

  function stillMissing({ id }: Image, preset: string): AppError {
    const sentence = `The rendition "${preset}" of image ${id} is still missing after a job that should have created it`;
    logger.warn(
      { image: id, preset },
      `${sentence}. Do all processes use the same PRESETS and the same storage location?`,
    );
    return new AppError(
      'rendition_not_ready',
      `${sentence}. Requests within the next ${retryPauseMs / 1000} s do not start another attempt. A worker may use different PRESETS or a different storage location than this process.`,
    );
  }
}
