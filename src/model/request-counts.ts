/** Requests of one caller in one window, to be added to those that other processes have counted. */
export interface CountedRequests {
  /** Identifies the caller and the limit. */
  readonly bucket: string;
  /** Number of the window since 1970, on the clock of the shared counts. */
  readonly window: number;
  readonly requests: number;
}

/** The counts after an addition. */
export interface SharedTotals {
  /** The time on the clock of the shared counts, in milliseconds since 1970. */
  readonly now: number;
  /** The totals of all processes, in the order of the added requests. */
  readonly totals: readonly number[];
}

/** Counts of requests that the processes of an installation share. */
export interface RequestCounts {
  /**
   * Adds requests and returns the totals, in a single round trip. `added` contains each bucket at most once. The clock is
   * read even if `added` is empty.
   */
  add(added: readonly CountedRequests[]): Promise<SharedTotals>;
  /** Removes the counts of all windows before `window`. */
  removeBefore(window: number): Promise<void>;
  close(): void;
}

/** Duration of a window. All limits on requests are per minute. */
export const windowSeconds = 60;
