import { setTimeout as sleep } from 'node:timers/promises';
import type { ImageQueries } from '../db/images/images.ts';
import { AppError, type ErrorCode, errorTable } from '../errors.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import { systemPrincipal } from '../model/principal.ts';
import { assertNotDeleted, imageDeleted } from './image-errors.ts';

/** The result of a job: the finished image, or why it failed. */
export type Completion = { readonly image: ImageWithRenditions } | { readonly error: AppError };

/** Publishes the results of this process's jobs to the requests that are waiting for them. */
export interface CompletionEvents {
  publish(imageId: number, completion: Completion): void;
  /** Subscribes to an image's next result. `completion` never rejects. Call `stop` to unsubscribe. */
  listen(imageId: number): { readonly completion: Promise<Completion>; readonly stop: () => void };
}

/** @see CompletionEvents */
export function makeCompletionEvents(): CompletionEvents {
  const listenersByImage = new Map<number, Set<(completion: Completion) => void>>();
  return {
    publish(imageId, completion) {
      for (const notify of listenersByImage.get(imageId) ?? []) notify(completion);
      listenersByImage.delete(imageId);
    },
    listen(imageId) {
      const { promise, resolve } = Promise.withResolvers<Completion>();
      const listeners = listenersByImage.get(imageId) ?? new Set();
      listenersByImage.set(imageId, listeners.add(resolve));
      const stop = () => {
        listeners.delete(resolve);
        if (listeners.size === 0 && listenersByImage.get(imageId) === listeners)
          listenersByImage.delete(imageId);
      };
      return { completion: promise, stop };
    },
  };
}

/**
 * Interval between reads of the image's row. Polling is needed because jobs in other processes do not publish events to
 * this process.
 */
const pollIntervalMs = 500;

/**
 * Waits until an image's job has ended, for at most `timeoutMs`, and returns the image in its current state.
 * @throws {AppError} the reason if the job failed; `image_deleted` if the image was deleted or purged.
 */
export type WaitForImage = (imageId: number, timeoutMs: number) => Promise<ImageWithRenditions>;

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find'>;
  readonly completionEvents: CompletionEvents;
}

/** @see WaitForImage */
export function makeWaitForImage({ images, completionEvents }: Dependencies): WaitForImage {
  return async (imageId, timeoutMs) => {
    const deadline = performance.now() + timeoutMs;
    const { completion, stop } = completionEvents.listen(imageId);
    try {
      for (;;) {
        const remainingMs = deadline - performance.now();
        const result = await Promise.race([
          completion,
          sleep(Math.max(0, Math.min(pollIntervalMs, remainingMs)), undefined, { ref: false }),
        ]);
        if (result) return getImage(result);
        const image = await images.find(systemPrincipal, { id: imageId });
        if (!image) throw imageDeleted(imageId);
        if (image.status === 'failed') throw toRecordedError(image);
        if (image.status === 'completed' || remainingMs <= pollIntervalMs) return image;
      }
    } finally {
      stop();
    }
  };
}

function getImage(completion: Completion): ImageWithRenditions {
  if ('error' in completion) throw completion.error;
  return assertNotDeleted(completion.image);
}

/**
 * Returns the error that was recorded for a failed image. If this version does not define the recorded code, the error
 * has the code `picture_damaged`.
 */
function toRecordedError({ errorCode, error }: ImageWithRenditions): AppError {
  const isKnown = errorCode !== null && Object.hasOwn(errorTable, errorCode);
  return new AppError(
    isKnown ? (errorCode as ErrorCode) : 'picture_damaged',
    error ?? 'The image could not be decoded.',
  );
}
