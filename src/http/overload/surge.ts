/** Length of the windows in which arrivals are compared with completions. */
const windowMs = 500;

/** More arrivals than this multiple of the completions in a window are a surge. */
const surgeRatio = 2;

/** An overload ends after a window in which at most this fraction of the arrivals was refused. */
const maxRefusedFraction = 0.05;

/** Compares the rates at which uploads arrive, are completed and are refused. */
export interface SurgeDetector {
  recordArrival(): void;
  recordCompletion(): void;
  recordRefusal(): void;
  /** Records that more uploads wait than may wait. */
  enterOverload(): void;
  /** Whether uploads have been refused since `enterOverload`, in every window of half a second. */
  isOverloaded(): boolean;
  /** Whether far more uploads arrive than are completed. It may be a burst or the beginning of an overload. */
  isSurging(): boolean;
}

/**
 * Creates a detector. A client that waits for a response before it sends the next upload never causes a surge for long, because
 * it sends one upload for each completion.
 * @param startupAllowance arrivals that do not count as a surge, because the same number can be served at once
 * @param now a monotonic clock, in milliseconds
 */
export function makeSurgeDetector(startupAllowance: number, now: () => number): SurgeDetector {
  let windowStart = now();
  let arrivals = 0;
  let completions = 0;
  let refusals = 0;
  let isOverloaded = false;

  function endWindow(): void {
    const elapsedMs = now() - windowStart;
    if (elapsedMs < windowMs) return;
    // A long window contains a time without any uploads.
    if (elapsedMs > 2 * windowMs || refusals <= maxRefusedFraction * arrivals) isOverloaded = false;
    windowStart = now();
    arrivals = 0;
    completions = 0;
    refusals = 0;
  }

  return {
    recordArrival() {
      endWindow();
      arrivals += 1;
    },
    recordCompletion() {
      endWindow();
      completions += 1;
    },
    recordRefusal() {
      refusals += 1;
    },
    enterOverload() {
      isOverloaded = true;
    },
    isOverloaded: () => isOverloaded,
    isSurging: () => isOverloaded || arrivals > surgeRatio * completions + startupAllowance,
  };
}
