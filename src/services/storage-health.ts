import type { Storage } from '../storage/storage.ts';

interface Dependencies {
  readonly storage: Pick<Storage, 'check' | 'probe'>;
  readonly times?: StorageHealthTimes;
}

/** Times that determine how often storage is checked, in milliseconds. */
export interface StorageHealthTimes {
  /** How long the result of a read-only check is reused. */
  readonly readResultMs: number;
  /** Interval between write checks. */
  readonly writeIntervalMs: number;
  /** Delay before repeating a failed write check. */
  readonly writeRetryMs: number;
}

/** With these times, unreachable storage is detected within 1 s, and full or read-only storage within 30 s. */
const defaultTimes: StorageHealthTimes = {
  readResultMs: 1_000,
  writeIntervalMs: 30_000,
  writeRetryMs: 5_000,
};

/**
 * Checks whether storage works. Health requests only trigger read-only checks, at most one per second, because the
 * number of requests is not limited. Write checks run on a schedule.
 */
export interface StorageHealth {
  /** Throws an error with the reason if storage does not work. @throws {AppError} */
  assert(): Promise<void>;
  /**
   * Starts the schedule. If the schedule is not started, as in a serverless function, `assert` runs a write check when
   * the last result has expired.
   */
  start(): void;
  stop(): void;
}

/** @see StorageHealth */
export function makeStorageHealth({ storage, times = defaultTimes }: Dependencies): StorageHealth {
  const { readResultMs, writeIntervalMs, writeRetryMs } = times;
  const readCheck = cacheResult(storage.probe, () => readResultMs);
  // A result stays valid for longer than the interval, so that a request does not start its own check while a scheduled
  // check is slow.
  const writeCheck = cacheResult(storage.check, (hasFailed) =>
    hasFailed ? writeRetryMs : 2 * writeIntervalMs,
  );
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function repeat(): Promise<void> {
    const hasPassed = await writeCheck.refresh().then(
      () => true,
      () => false,
    );
    if (!isStopped)
      timer = setTimeout(() => void repeat(), hasPassed ? writeIntervalMs : writeRetryMs).unref();
  }

  return {
    async assert() {
      await Promise.all([readCheck.latest(), writeCheck.latest()]);
    },
    start: () => void repeat(),
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/** Reuses the last result of `check` for `lifetimeMs`. Concurrent callers share one run. */
function cacheResult(check: () => Promise<void>, lifetimeMs: (hasFailed: boolean) => number) {
  let currentRun: Promise<void> | undefined;
  let lastCheck: { readonly result: Promise<void>; readonly validUntil: number } | undefined;

  function refresh(): Promise<void> {
    currentRun ??= run().finally(() => {
      currentRun = undefined;
    });
    return currentRun;
  }

  async function run(): Promise<void> {
    const result = check();
    const hasFailed = await result.then(
      () => false,
      () => true,
    );
    lastCheck = { result, validUntil: performance.now() + lifetimeMs(hasFailed) };
    return result;
  }

  return {
    refresh,
    latest: (): Promise<void> =>
      lastCheck && performance.now() < lastCheck.validUntil ? lastCheck.result : refresh(),
  };
}
