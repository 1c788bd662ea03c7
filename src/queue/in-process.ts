import type { WorkQueue } from './queue.ts';

/** The queue of a process that is API and worker at once. */
export function makeInProcessQueue(): WorkQueue {
  const listeners = new Set<() => void>();
  return {
    kind: 'in-process',
    wake() {
      for (const listener of listeners) listener();
    },
    onWake(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      listeners.clear();
      return Promise.resolve();
    },
  };
}
