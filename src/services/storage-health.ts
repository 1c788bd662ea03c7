import type { Storage } from '../storage/storage.ts';

interface Parts {
  readonly storage: Pick<Storage, 'check' | 'probe'>;
  readonly times?: StorageHealthTimes;
}

/** How long results are believed, in milliseconds. */
export interface StorageHealthTimes {
  /** That of a look at the storage, which writes nothing. */
  readonly probeMs: number;
  /** Pause between two checks that write, and the same after one that failed. */
  readonly writeMs: number;
  readonly writeAgainMs: number;
}

/** A full or read-only storage is noticed within half a minute; one that does not answer at once. */
const usualTimes: StorageHealthTimes = { probeMs: 1_000, writeMs: 30_000, writeAgainMs: 5_000 };

/**
 * Whether the storage works. Anybody may ask for health, as often as they like: asking looks at the storage once a second at
 * most and writes nothing. Writing is tried on a timetable, and the latest result counts.
 */
export interface StorageHealth {
  /** @throws {AppError} that says what does not work. */
  assert(): Promise<void>;
  /** Begins the timetable. Without it, a process that is not always there writes when its result is too old. */
  start(): void;
  stop(): void;
}

/** @see StorageHealth */
export function makeStorageHealth({ storage, times = usualTimes }: Parts): StorageHealth {
  const { probeMs, writeMs, writeAgainMs } = times;
  const probe = makeRecent(storage.probe, () => probeMs);
  // Twice the pause: a check that takes its time is no reason for another one.
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

/** The latest result of `work`; of many who ask at once, one makes it run. `lifetime` is in milliseconds. */
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
