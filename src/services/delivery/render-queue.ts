import { AppError } from '../../errors.ts';
import { makeFairQueue } from '../../imaging/pool/scheduling.ts';

/** Limits how many renditions are made on request at the same time. */
export interface RenderQueue {
  /**
   * Runs `work` when a slot is free. Tenants take turns.
   * @param signal ends the wait for a slot; it has no effect on running work
   * @throws {AppError} `overloaded` if the queue is full; or the abort reason
   */
  run<T>(tenant: number, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

interface WaitingWork {
  readonly priority: number;
  readonly tenant: number;
  readonly start: () => void;
}

/** Weight of the latest duration in the moving average. */
const smoothing = 0.2;

/** Maximum `Retry-After`, in seconds. */
const maxRetrySeconds = 30;

/**
 * Creates a queue.
 * @param slots number of renditions made at the same time
 * @param maxWaiting number of renditions that may wait for a slot
 */
export function makeRenderQueue(slots: number, maxWaiting: number): RenderQueue {
  const waiting = makeFairQueue<WaitingWork>();
  let running = 0;
  let averageMs = 100;

  /** Waits until a slot is free, and takes it. */
  async function takeSlot(tenant: number, signal: AbortSignal): Promise<void> {
    if (running < slots) {
      running++;
      return;
    }
    if (waiting.length >= maxWaiting) throw queueFull();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const item = { priority: 0, tenant, start: resolve };
    const onAbort = () => {
      if (waiting.remove(item)) reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    waiting.add(item);
    await promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Hands the slot to the next work in the queue, or frees it. */
  function releaseSlot(): void {
    const next = waiting.next(() => true);
    if (next) next.start();
    else running--;
  }

  function queueFull(): AppError {
    const seconds = Math.ceil((waiting.length * averageMs) / slots / 1000);
    return new AppError(
      'overloaded',
      `${waiting.length} ${waiting.length === 1 ? 'rendition is' : 'renditions are'} waiting to be made; the limit is ${maxWaiting} (MAX_WAITING_RENDERINGS).`,
      { retryAfterSeconds: Math.min(maxRetrySeconds, Math.max(1, seconds)) },
    );
  }

  return {
    async run(tenant, signal, work) {
      signal.throwIfAborted();
      await takeSlot(tenant, signal);
      const startTime = performance.now();
      try {
        return await work();
      } finally {
        averageMs += smoothing * (performance.now() - startTime - averageMs);
        releaseSlot();
      }
    },
  };
}
