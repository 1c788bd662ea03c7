import { makeDelays } from './delays.ts';
import { kindsOf, makeListeners } from './listeners.ts';
import type { WorkQueue } from './queue.ts';

/** The queue of a process that is API and worker at once. */
export function makeInProcessQueue(): WorkQueue {
  const listeners = makeListeners();
  const delays = makeDelays();
  let isClosed = false;
  return {
    kind: 'in-process',
    wake(jobs, delayMs = 0) {
      if (isClosed) return;
      for (const kind of kindsOf(jobs)) delays.run(() => listeners.wake(kind), delayMs);
    },
    onWake: listeners.add,
    trouble: () => undefined,
    close() {
      isClosed = true;
      delays.clear();
      listeners.clear();
      return Promise.resolve();
    },
  };
}
