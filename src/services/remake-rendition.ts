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
export type RemakeRendition = (image: Image, preset: string) => Promise<never>;

/** After a run that did not make the rendition, no further run is started for this long. */
const pauseMs = 60_000;

/** Maximum number of renditions to remember. */
const maxRemembered = 1_000;

/**
 * A rendition that is missing or truncated in storage is made again from its original. If a run does not make it, the
 * worker probably uses different presets or different storage, and starting a run on every read would waste its time.
 */
export function makeRemakeRendition({ jobs, queue, logger }: Dependencies): RemakeRendition {
  /** When the image had last been processed, for each rendition that was requested recently. */
  const requests = new LRUCache<string, { readonly lastRun: number }>({ max: maxRemembered, ttl: pauseMs });

  return async (image, preset) => {
    const key = `${image.id}/${preset}`;
    const lastRun = image.processedAt?.getTime() ?? 0;
    const earlierRequest = requests.get(key);
    if (earlierRequest && earlierRequest.lastRun !== lastRun) throw stillMissing(image, preset);
    if (!earlierRequest) requests.set(key, { lastRun });
    const job = await jobs.requeue(image.id, priorities.single);
    if (job) queue.wake([job]);
    throw new AppError(
      'rendition_not_ready',
      `The rendition "${preset}" of image ${image.id} is missing and is being re-created again from the original.`,
    );
  };

  function stillMissing({ id }: Image, preset: string): AppError {
    const sentence = `The rendition "${preset}" of image ${id} is still missing after a run that should have made it`;
    logger.warn(
      { image: id, preset },
      `${sentence}. Do all processes use the same PRESETS and the same storage?`,
    );
    return new AppError(
      'rendition_not_ready',
      `${sentence}. The next attempt is possible ${pauseMs / 1000} s after that run. A worker may use different PRESETS or different storage than this process.`,
    );
  }
}
