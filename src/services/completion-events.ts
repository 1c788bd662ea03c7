import type { AppError } from '../errors.ts';
import type { ImageWithRenditions } from '../model/image.ts';

/** How work on an image ended: the finished image, or why there is none. */
export type Completion = { readonly image: ImageWithRenditions } | { readonly error: AppError };

/** Tells those who wait for an image that work on it has ended. */
export interface CompletionEvents {
  announce(imageId: number, completion: Completion): void;
  /** Begins to listen; `settled` never fails. Call `stop` when the answer no longer matters. */
  listen(imageId: number): { readonly settled: Promise<Completion>; readonly stop: () => void };
}

/** CompletionEvents of this process. What other processes settle is seen by looking at the row. */
export function makeCompletionEvents(): CompletionEvents {
  const waiting = new Map<number, Set<(completion: Completion) => void>>();
  return {
    announce(imageId, completion) {
      for (const tell of waiting.get(imageId) ?? []) tell(completion);
      waiting.delete(imageId);
    },
    listen(imageId) {
      const { promise, resolve } = Promise.withResolvers<Completion>();
      const listeners = waiting.get(imageId) ?? new Set();
      waiting.set(imageId, listeners.add(resolve));
      const stop = () => {
        listeners.delete(resolve);
        if (listeners.size === 0 && waiting.get(imageId) === listeners) waiting.delete(imageId);
      };
      return { settled: promise, stop };
    },
  };
}
