import { DecoderWorker } from './decoder-worker.ts';
import type { DecoderWorkerOptions, PoolCounters } from './worker-options.ts';

/** Workers of a group, and the replacements of those that have performed their maximum number of tasks. */
export interface WorkerSet {
  /** The workers that may be given tasks. */
  active(): readonly DecoderWorker[];
  /** All workers, including replacements that are starting and replaced workers that still perform their last task. */
  all(): readonly DecoderWorker[];
  /** Continues to replace worn workers. Must be called after each change of a worker's state. */
  replaceWorn(): void;
  /** Kills all children. Resolves once they have exited. */
  close(): Promise<void>;
}

/**
 * Creates a set. A worn worker keeps performing tasks until the child of its replacement is ready, so that no task waits for
 * the start of a child, which takes several hundred milliseconds on a busy machine. Only one worker is replaced at a time,
 * because each additional child uses memory and CPU time.
 * @param makeOptions returns the options of the worker at an index
 */
export function makeWorkerSet(size: number, makeOptions: (index: number) => DecoderWorkerOptions): WorkerSet {
  const workers = Array.from({ length: size }, (_, index) => new DecoderWorker(makeOptions(index)));
  const replacedWorkers = new Set<DecoderWorker>();
  const closings = new Set<Promise<void>>();
  let replacement:
    | { readonly worker: DecoderWorker; readonly index: number; readonly counters: PoolCounters }
    | undefined;

  const all = () => [...workers, ...replacedWorkers, ...(replacement ? [replacement.worker] : [])];

  function startReplacement(): void {
    const index = workers.findIndex((worker) => worker.isWorn);
    if (index < 0) return;
    const options = makeOptions(index);
    replacement = { worker: new DecoderWorker(options), index, counters: options.counters };
    replacement.worker.start();
  }

  function useReplacement(): void {
    if (replacement?.worker.state !== 'idle') return;
    const { worker, index, counters } = replacement;
    const [wornWorker] = workers.splice(index, 1, worker);
    if (wornWorker !== undefined) replacedWorkers.add(wornWorker);
    counters.recycled++;
    replacement = undefined;
  }

  function closeReplaced(): void {
    for (const worker of replacedWorkers) {
      if (worker.state === 'busy') continue;
      replacedWorkers.delete(worker);
      const closing = worker.close().finally(() => closings.delete(closing));
      closings.add(closing);
    }
  }

  return {
    active: () => workers,
    all,
    replaceWorn() {
      useReplacement();
      closeReplaced();
      if (replacement === undefined) startReplacement();
    },
    async close() {
      await Promise.all([...closings, ...all().map((worker) => worker.close())]);
    },
  };
}
