import { AppError } from '../../errors.ts';
import { DecoderWorker, type DecoderWorkerOptions, type TaskHandle } from './decoder-worker.ts';
import type { Task, TaskKind, TaskResult } from './messages.ts';
import { makeFairQueue, type SchedulingKey, type TenantKey, type ThrottledTenants } from './scheduling.ts';

/** Settings of a worker group. */
export interface WorkerGroupOptions extends Omit<DecoderWorkerOptions, 'onChange' | 'isSpare'> {
  /** Maximum number of workers. */
  readonly size: number;
  /**
   * Number of workers that always have a child. The others start a child if none is idle, and kill it once it has been
   * idle for a while. Default: all.
   */
  readonly permanentWorkers?: number;
  readonly throttled: ThrottledTenants;
}

/** Decoder workers that perform the same kinds of tasks and share a queue. */
export interface WorkerGroup<Kinds extends TaskKind> {
  start(): void;
  /** Queues a task; resolves with its result. */
  submit<Kind extends Kinds>(submission: Submission<Kind>): Promise<TaskResult<Kind>>;
  counts(): {
    /** Workers that have been started. */
    readonly size: number;
    readonly alive: number;
    readonly busy: number;
    readonly waiting: number;
    /** Whether no worker can keep a child alive. */
    readonly isBroken: boolean;
  };
  /** Marks the input folders of the children as in use. */
  touchFolders(): void;
  close(): Promise<void>;
}

/** A task to be queued. */
export interface Submission<Kind extends TaskKind> extends SchedulingKey {
  readonly task: Task & { readonly kind: Kind };
  readonly signal?: AbortSignal | undefined;
}

interface QueuedTask extends PromiseWithResolvers<TaskResult>, SchedulingKey {
  readonly task: Task;
  /** Set once the task is running. */
  handle?: TaskHandle;
}

/** Creates a group, which starts with `start` or with its first task. */
export function makeWorkerGroup<Kinds extends TaskKind>(options: WorkerGroupOptions): WorkerGroup<Kinds> {
  const queue = makeFairQueue<QueuedTask>();
  const { size, permanentWorkers = size } = options;
  const workers = Array.from(
    { length: size },
    (_, index) => new DecoderWorker({ ...options, isSpare: index >= permanentWorkers, onChange: dispatch }),
  );
  const running = new Set<QueuedTask>();
  const watchdog = makeWatchdog(() => workers.forEach((worker) => worker.checkMemory()));
  let isStarted = false;
  let isClosed = false;

  function start(): void {
    if (isStarted || isClosed) return;
    isStarted = true;
    for (const worker of workers.slice(0, permanentWorkers)) worker.start();
  }

  function mayRun(tenant: TenantKey): boolean {
    return (
      !options.throttled.isThrottled(tenant) || !running.values().some((queued) => queued.tenant === tenant)
    );
  }

  /** Returns whether all started workers are broken. The others are assumed to fail in the same way. */
  function isBroken(): boolean {
    const started = workers.filter((worker) => worker.state !== 'unstarted');
    return started.length > 0 && started.every((worker) => worker.isBroken);
  }

  /** Assigns queued tasks to idle workers; rejects them all if no worker can keep a child alive. */
  function dispatch(): void {
    if (isBroken()) {
      for (const queued of queue.clear()) queued.reject(cannotStart());
    }
    for (const worker of workers) {
      if (worker.state !== 'idle') continue;
      const queued = queue.next(mayRun);
      if (queued === undefined) break;
      run(queued, worker);
    }
    // A child that is already starting will be ready sooner than a new one.
    if (queue.length === 0 || workers.some((worker) => worker.state === 'starting')) return;
    workers.find((worker) => worker.state === 'unstarted')?.start();
  }

  function run(queued: QueuedTask, worker: DecoderWorker): void {
    running.add(queued);
    queued.handle = worker.run(queued.task);
    queued.handle.result.then(
      (result) => end(queued, () => queued.resolve(result)),
      (error: unknown) => {
        if (error instanceof AppError && error.code === 'decoder_crashed')
          options.throttled.throttle(queued.tenant);
        end(queued, () => queued.reject(error));
      },
    );
  }

  function end(queued: QueuedTask, settle: () => void): void {
    running.delete(queued);
    settle();
    // When the worker became idle, this task still counted as running, so a throttled tenant's next task had to wait.
    dispatch();
  }

  function abort(queued: QueuedTask, reason: unknown): void {
    if (queue.remove(queued)) queued.reject(reason);
    else queued.handle?.stop(reason);
  }

  async function submit<Kind extends Kinds>(submission: Submission<Kind>): Promise<TaskResult<Kind>> {
    const { task, priority, tenant, signal } = submission;
    signal?.throwIfAborted();
    if (isClosed) throw shuttingDown();
    start();
    const queued: QueuedTask = { ...Promise.withResolvers<TaskResult>(), task, priority, tenant };
    const onAbort = () => abort(queued, signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    watchdog.acquire();
    queue.add(queued);
    dispatch();
    try {
      return await queued.promise;
    } finally {
      watchdog.release();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async function close(): Promise<void> {
    isClosed = true;
    for (const queued of queue.clear()) queued.reject(shuttingDown());
    watchdog.acquire();
    await Promise.all(workers.map((worker) => worker.close())).finally(() => watchdog.release());
  }

  return {
    start,
    submit,
    counts: () => ({
      size: workers.filter(({ state }) => state !== 'unstarted').length,
      alive: workers.filter(({ state }) => state === 'idle' || state === 'busy').length,
      busy: workers.filter(({ state }) => state === 'busy').length,
      waiting: queue.length,
      isBroken: isBroken(),
    }),
    touchFolders: () => workers.forEach((worker) => worker.touchFolder()),
    close,
  };
}

const watchdogPeriodMs = 100;

/**
 * Calls `check` periodically while at least one task is queued or running. Its timer also keeps the parent process
 * alive for exactly that long. The children do not, so a finished program can exit without closing the pool.
 */
function makeWatchdog(check: () => void): { acquire(): void; release(): void } {
  let users = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    acquire() {
      users++;
      timer ??= setInterval(check, watchdogPeriodMs);
    },
    release() {
      users--;
      if (users > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
  };
}

function cannotStart(): AppError {
  return new AppError('unavailable', 'The decoder could not be started; see the log for details.');
}

function shuttingDown(): AppError {
  return new AppError('unavailable', 'The decoder is shutting down.');
}
