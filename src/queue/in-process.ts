import { type DueJob, type JobKind, jobKinds } from '../model/job.ts';
import type { WorkQueue } from './queue.ts';

/** Creates a queue for a process that both serves requests and runs jobs. */
export function makeInProcessQueue(): WorkQueue {
  const listeners = makeListeners();
  const delayedActions = makeDelayedActions();
  let isClosed = false;
  return {
    kind: 'in-process',
    wake(jobs, delayMs = 0) {
      if (isClosed) return;
      for (const kind of distinctKinds(jobs)) delayedActions.run(() => listeners.wake(kind), delayMs);
    },
    onWake: listeners.add,
    outageReason: () => undefined,
    close() {
      isClosed = true;
      delayedActions.clear();
      listeners.clear();
      return Promise.resolve();
    },
  };
}

type Poll = () => Promise<void>;

/** The wake-up listeners of this process, by job kind. */
interface Listeners {
  /** @see WorkQueue.onWake */
  readonly add: (kind: JobKind, poll: Poll) => () => void;
  readonly wake: (kind: JobKind) => void;
  wakeAll(): void;
  clear(): void;
}

/** Creates an empty set of listeners. */
export function makeListeners(): Listeners {
  const listeners = new Map<JobKind, Set<() => void>>(jobKinds.map((kind) => [kind, new Set()]));
  const wake = (kind: JobKind): void => listeners.get(kind)?.forEach((listener) => listener());
  return {
    add(kind, poll) {
      const listener = coalesce(poll);
      listeners.get(kind)?.add(listener);
      return () => void listeners.get(kind)?.delete(listener);
    },
    wake,
    wakeAll: () => jobKinds.forEach(wake),
    clear: () => listeners.forEach((kindListeners) => kindListeners.clear()),
  };
}

/** Coalesces the wake-ups that arrive during a poll into one additional poll, which finds all announced jobs. */
function coalesce(poll: Poll): () => void {
  let isPolling = false;
  let isPollNeeded = false;
  async function run(): Promise<void> {
    isPolling = true;
    do {
      isPollNeeded = false;
      await poll();
    } while (isPollNeeded);
    isPolling = false;
  }
  return () => {
    if (isPolling) isPollNeeded = true;
    else void run();
  };
}

/** Returns the distinct kinds of `jobs`. */
export function distinctKinds(jobs: readonly DueJob[]): Set<JobKind> {
  return new Set(jobs.map(({ kind }) => kind));
}

/**
 * Actions that run after a delay. Their timers do not keep the process alive. This is safe, because workers also find
 * due jobs by polling.
 */
interface DelayedActions {
  /** Runs `action` after `delayMs`, or immediately if `delayMs` is 0. */
  run(action: () => void, delayMs: number): void;
  clear(): void;
}

/** Creates an empty set of delayed actions. */
export function makeDelayedActions(): DelayedActions {
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
