import { LRUCache } from 'lru-cache';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError } from '../errors.ts';
import type { Image } from '../model/image.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import { priorities } from './priorities.ts';

interface Dependencies {
  readonly jobs: Pick<JobQueries, 'requeue'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly logger: Logger;
}

/** Has a rendition made that is not there. Fails always: with the sentence for whoever asked for it. */
export type RemakeRendition = (image: Image, preset: string) => Promise<never>;

/** A run that did not bring the rendition is not repeated for this long. */
const restMs = 60_000;
const maxRemembered = 1_000;

/**
 * A rendition that is missing or cut in storage is no loss: its original makes it, once more or for the first time. It may
 * be the worker that lacks the preset or sees another storage; then each read would have it work in vain.
 */
export function makeRemakeRendition({ jobs, queue, logger }: Dependencies): RemakeRendition {
  /** Renditions that were asked for, with the run that was the image's last one then. */
  const asked = new LRUCache<string, { readonly lastRun: number }>({ max: maxRemembered, ttl: restMs });

  return async (image, preset) => {
    const name = `${image.id}/${preset}`;
    const lastRun = image.processedAt?.getTime() ?? 0;
    const before = asked.get(name);
    if (before && before.lastRun !== lastRun) throw stillMissing(image, preset);
    if (!before) asked.set(name, { lastRun });
    const job = await jobs.requeue(image.id, priorities.single);
    if (job) queue.wake([job]);
    throw new AppError(
      'rendition_not_ready',
      `The rendition "${preset}" of image ${image.id} is not there; it is being made from the original.`,
    );
  };

  function stillMissing({ id }: Image, preset: string): AppError {
    const sentence = `The rendition "${preset}" of image ${id} is not there, also after a run that was to make it`;
    logger.warn(
      { image: id, preset },
      `${sentence}: do all processes have the same PRESETS and the same storage?`,
    );
    return new AppError(
      'rendition_not_ready',
      `${sentence}; it is tried again ${restMs / 1000} s after that. Perhaps a worker has other PRESETS or another storage than this process.`,
    );
  }
}
