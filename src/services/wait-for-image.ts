import { setTimeout as sleep } from 'node:timers/promises';
import type { ImageQueries } from '../db/images/images.ts';
import { AppError, type ErrorCode, errorTable } from '../errors.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import { systemPrincipal } from '../model/principal.ts';
import type { CompletionEvents } from './completion-events.ts';

/** How often the row is looked at: another process may settle it, and then nobody announces it here. */
const lookMs = 500;

/**
 * Waits until work on an image has ended, or `timeoutMs` are over, and returns the image as it stands then.
 * @throws {AppError} the reason, when work on it failed; `image_deleted` when the image is gone.
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
    const { settled, stop } = completionEvents.listen(imageId);
    try {
      for (;;) {
        const left = deadline - performance.now();
        const completion = await Promise.race([
          settled,
          sleep(Math.max(0, Math.min(lookMs, left)), undefined, { ref: false }),
        ]);
        if (completion && 'error' in completion) throw completion.error;
        if (completion) return completion.image;
        const image = await images.find(systemPrincipal, { id: imageId });
        if (!image) throw imageDeleted(imageId);
        if (isSettled(image)) return image;
        if (left <= lookMs) return image;
      }
    } finally {
      stop();
    }
  };
}

function isSettled(image: ImageWithRenditions): boolean {
  if (image.status === 'failed')
    throw new AppError(codeOf(image.errorCode), image.error ?? 'The picture could not be decoded.');
  return image.status === 'completed';
}

/** The code under which a failure was recorded, if it is one that can be answered. */
function codeOf(recorded: string | null): ErrorCode {
  return recorded !== null && Object.hasOwn(errorTable, recorded)
    ? (recorded as ErrorCode)
    : 'picture_damaged';
}

/** The error of an upload whose image was removed before the response: the picture itself may be valid. */
export function imageDeleted(imageId: number): AppError {
  return new AppError(
    'image_deleted',
    `Image ${imageId} was deleted while it was being processed; send the picture again if it is still wanted.`,
  );
}
