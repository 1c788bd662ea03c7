/** Coalesces concurrent calls for the same work into one run (*single flight*). */
export interface Flights<T> {
  /**
   * Starts the work, or joins it if it is already running, and returns its result.
   * @param key identifies the work
   * @param signal aborts the wait of this caller alone
   * @param work receives a signal that aborts once no caller is waiting any more
   */
  join(key: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/** @see Flights */
export function makeFlights<T>(): Flights<T> {
  const flights = new Map<string, Flight<T>>();

  function start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const result = work(controller.signal).finally(() => flights.delete(key));
    const flight = { result, controller, waiting: 0 };
    flights.set(key, flight);
    // All callers may have left before it fails.
    result.catch(() => undefined);
    return flight;
  }

  async function wait(flight: Flight<T>, signal: AbortSignal | undefined): Promise<T> {
    flight.waiting++;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([flight.result, aborted]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      flight.waiting--;
      if (flight.waiting === 0)
        flight.controller.abort(new DOMException('No caller is waiting any more.', 'AbortError'));
    }
  }

  return {
    async join(key, signal, work) {
      for (;;) {
        signal?.throwIfAborted();
        const flight = flights.get(key) ?? start(key, work);
        // Work that does not stop on abort still yields a valid result.
        const wasAborted = flight.controller.signal.aborted;
        try {
          return await wait(flight, signal);
        } catch (error) {
          const hasStopped = error instanceof Error && error.name === 'AbortError';
          if (!wasAborted || !hasStopped || signal?.aborted) throw error;
        }
      }
    },
  };
}
