import { type DueJob, type JobKind, jobKinds } from '../model/job.ts';
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

type Look = () => Promise<void>;

/** Those in this process who want to be woken up, by the kind of their jobs. */
interface Listeners {
  /** @see WorkQueue.onWake */
  readonly add: (kind: JobKind, look: Look) => () => void;
  readonly wake: (kind: JobKind) => void;
  wakeAll(): void;
  clear(): void;
}

/** @see Listeners */
export function makeListeners(): Listeners {
  const listeners = new Map<JobKind, Set<() => void>>(jobKinds.map((kind) => [kind, new Set()]));
  const wake = (kind: JobKind): void => listeners.get(kind)?.forEach((listener) => listener());
  return {
    add(kind, look) {
      const listener = oneAtATime(look);
      listeners.get(kind)?.add(listener);
      return () => void listeners.get(kind)?.delete(listener);
    },
    wake,
    wakeAll: () => jobKinds.forEach(wake),
    clear: () => listeners.forEach((ofKind) => ofKind.clear()),
  };
}

/** However many wake-ups come during a look: one more look afterwards sees all that they announced. */
function oneAtATime(look: Look): () => void {
  let isLooking = false;
  let again = false;
  async function run(): Promise<void> {
    isLooking = true;
    do {
      again = false;
      await look();
    } while (again);
    isLooking = false;
  }
  return () => {
    if (isLooking) again = true;
    else void run();
  };
}

/** The kinds that occur among `jobs`. */
export function kindsOf(jobs: readonly DueJob[]): Set<JobKind> {
  return new Set(jobs.map(({ kind }) => kind));
}

/** Actions that wait for their time. They keep no process alive: polling finds what they would have announced. */
interface Delays {
  /** Now when there is nothing to wait for. */
  run(action: () => void, delayMs: number): void;
  clear(): void;
}

/** @see Delays */
export function makeDelays(): Delays {
  const timers = new Set<NodeJS.Timeout>();
  return {
    run(action, delayMs) {
      if (delayMs <= 0) return action();
      const timer = setTimeout(() => {
        timers.delete(timer);
        action();
      }, delayMs);
      timers.add(timer.unref());
    },
    clear() {
      timers.forEach(clearTimeout);
      timers.clear();
    },
  };
}
