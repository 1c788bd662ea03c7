import type { Storage } from '../storage/storage.ts';

interface Dependencies {
  readonly storage: Pick<Storage, 'check' | 'probe'>;
  readonly times?: StorageHealthTimes;
}

/** How long results are reused, in milliseconds. */
export interface StorageHealthTimes {
  /** Lifetime of a read-only check. */
  readonly probeMs: number;
  /** Interval between write checks. */
  readonly writeMs: number;
  /** Interval after a failed write check. */
  readonly writeAgainMs: number;
}

/** A full or read-only storage is detected within half a minute; an unreachable one at once. */
const usualTimes: StorageHealthTimes = { probeMs: 1_000, writeMs: 30_000, writeAgainMs: 5_000 };

/**
 * Checks whether the storage works. Anyone may request health at any rate, so requests only read, at most once a second.
 * Writes are checked on a schedule.
 */
export interface StorageHealth {
  /** @throws {AppError} the reason, if the storage does not work. */
  assert(): Promise<void>;
  /** Starts the schedule. Without one, as in a serverless function, `assert` writes when the last result has expired. */
  start(): void;
  stop(): void;
}

/** @see StorageHealth */
export function makeStorageHealth({ storage, times = usualTimes }: Dependencies): StorageHealth {
  const { probeMs, writeMs, writeAgainMs } = times;
  const probe = makeRecent(storage.probe, () => probeMs);
  // Outlives the interval, so that a request does not start another check while a scheduled one is slow.
  const write = makeRecent(storage.check, (failed) => (failed ? writeAgainMs : 2 * writeMs));
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function repeat(): Promise<void> {
    const isFine = await write.refresh().then(
      () => true,
      () => false,
    );
    if (!isStopped) timer = setTimeout(() => void repeat(), isFine ? writeMs : writeAgainMs).unref();
  }

  return {
    async assert() {
      await Promise.all([probe.latest(), write.latest()]);
    },
    start: () => void repeat(),
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/** Reuses the last result of `work`; concurrent callers share one run. `lifetime` is in milliseconds. */
function makeRecent(work: () => Promise<void>, lifetime: (failed: boolean) => number) {
  let running: Promise<void> | undefined;
  let last: { readonly result: Promise<void>; readonly until: number } | undefined;

  function refresh(): Promise<void> {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  }

  async function run(): Promise<void> {
    const result = work();
    const failed = await result.then(
      () => false,
      () => true,
    );
    last = { result, until: performance.now() + lifetime(failed) };
    return result;
  }

  return {
    refresh,
    latest: (): Promise<void> => (last && performance.now() < last.until ? last.result : refresh()),
  };
}
