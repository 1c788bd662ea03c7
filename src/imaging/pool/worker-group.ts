import { AppError } from '../../errors.ts';
import type { DecoderWorker, TaskHandle } from './decoder-worker.ts';
import type { Task, TaskKind, TaskResult } from './messages.ts';
import { makePurposeQueue, type Purpose, type PurposeKey } from './purpose-queue.ts';
import type { TenantKey, ThrottledTenants } from './scheduling.ts';
import type { DecoderWorkerOptions } from './worker-options.ts';
import { makeWorkerSet } from './worker-set.ts';

/** Settings of a worker group. */
export interface WorkerGroupOptions extends Omit<DecoderWorkerOptions, 'onChange' | 'isSpare'> {
  /** Maximum number of workers. */
  readonly size: number;
  /**
   * Number of workers that always have a child. Each of the others starts a child when no other child is idle, and
   * kills it once it has been idle for a while. Default: all workers.
   */
  readonly permanentWorkers?: number;
  readonly throttledTenants: ThrottledTenants;
}

/** Decoder workers that perform the same kinds of tasks and share a queue. */
export interface WorkerGroup<Kinds extends TaskKind> {
  start(): void;
  /** Queues a task. Resolves with its result. */
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
export interface Submission<Kind extends TaskKind> extends PurposeKey {
  readonly task: Task & { readonly kind: Kind };
  readonly signal?: AbortSignal | undefined;
}

interface QueuedTask extends PromiseWithResolvers<TaskResult>, PurposeKey {
  readonly task: Task;
  /** Set once the task is running. */
  handle?: TaskHandle;
}

/** Creates a group. Its workers are started by `start` or by the first task. */
export function makeWorkerGroup<Kinds extends TaskKind>(options: WorkerGroupOptions): WorkerGroup<Kinds> {
  const queue = makePurposeQueue<QueuedTask>();
  const { size, permanentWorkers = size } = options;
  const workers = makeWorkerSet(size, (index) => ({
    ...options,
    isSpare: index >= permanentWorkers,
    onChange: dispatch,
  }));
  const runningTasks = new Set<QueuedTask>();
  const lastTasks = new WeakMap<DecoderWorker, QueuedTask>();
  const watchdog = makeWatchdog(() => workers.all().forEach((worker) => worker.checkMemory()));
  let isStarted = false;
  let isClosed = false;

  function start(): void {
    if (isStarted || isClosed) return;
    isStarted = true;
    for (const worker of workers.active().slice(0, permanentWorkers)) worker.start();
  }

  function mayRun(tenant: TenantKey): boolean {
    return (
      !options.throttledTenants.isThrottled(tenant) ||
      !runningTasks.values().some((queuedTask) => queuedTask.tenant === tenant)
    );
  }

  /** Asks the workers, because a finished task is still in `runningTasks` when its worker becomes idle. */
  function countRunning(purpose: Purpose): number {
    const isBusyWith = (worker: DecoderWorker) =>
      worker.state === 'busy' && lastTasks.get(worker)?.purpose === purpose;
    return workers.all().filter(isBusyWith).length;
  }

  /** Returns whether all started workers are broken. Any other worker is expected to fail in the same way. */
  function isBroken(): boolean {
    const startedWorkers = workers.active().filter((worker) => worker.state !== 'unstarted');
    return startedWorkers.length > 0 && startedWorkers.every((worker) => worker.isBroken);
  }

  /** Assigns queued tasks to idle workers, or rejects all of them if no worker can keep a child alive. */
  function dispatch(): void {
    if (!isClosed) workers.replaceWorn();
    if (isBroken()) {
      for (const queuedTask of queue.clear()) queuedTask.reject(startFailedError());
    }
    for (const worker of workers.active()) {
      if (worker.state !== 'idle') continue;
      const queuedTask = queue.next(mayRun, countRunning);
      if (queuedTask === undefined) break;
      runTask(queuedTask, worker);
    }
    // A child that is already starting will be ready sooner than a new child.
    if (queue.length === 0 || workers.active().some((worker) => worker.state === 'starting')) return;
    workers
      .active()
      .find((worker) => worker.state === 'unstarted')
      ?.start();
  }

  function runTask(queuedTask: QueuedTask, worker: DecoderWorker): void {
    runningTasks.add(queuedTask);
    lastTasks.set(worker, queuedTask);
    queuedTask.handle = worker.run(queuedTask.task);
    queuedTask.handle.result.then(
      (result) => endTask(queuedTask, () => queuedTask.resolve(result)),
      (error: unknown) => {
        if (error instanceof AppError && error.code === 'decoder_crashed')
          options.throttledTenants.throttle(queuedTask.tenant);
        endTask(queuedTask, () => queuedTask.reject(error));
      },
    );
  }

  function endTask(queuedTask: QueuedTask, settle: () => void): void {
    runningTasks.delete(queuedTask);
    settle();
    // Dispatches again, because this task still counted as running when the worker became idle. A throttled tenant's
    // next task therefore had to wait.
    dispatch();
  }

  function abortTask(queuedTask: QueuedTask, reason: unknown): void {
    if (queue.remove(queuedTask)) queuedTask.reject(reason);
    else queuedTask.handle?.stop(reason);
  }

  async function submit<Kind extends Kinds>(submission: Submission<Kind>): Promise<TaskResult<Kind>> {
    const { task, signal, ...key } = submission;
    signal?.throwIfAborted();
    if (isClosed) throw shuttingDownError();
    start();
    const queuedTask: QueuedTask = { ...Promise.withResolvers<TaskResult>(), task, ...key };
    const onAbort = () => abortTask(queuedTask, signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    watchdog.acquire();
    queue.add(queuedTask);
    dispatch();
    try {
      return await queuedTask.promise;
    } finally {
      watchdog.release();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async function close(): Promise<void> {
    isClosed = true;
    for (const queuedTask of queue.clear()) queuedTask.reject(shuttingDownError());
    watchdog.acquire();
    await workers.close().finally(() => watchdog.release());
  }

  return {
    start,
    submit,
    counts: () => ({
      size: workers.active().filter(({ state }) => state !== 'unstarted').length,
      alive: workers.active().filter(({ state }) => state === 'idle' || state === 'busy').length,
      busy: workers.active().filter(({ state }) => state === 'busy').length,
      waiting: queue.length,
      isBroken: isBroken(),
    }),
    touchFolders: () => workers.all().forEach((worker) => worker.touchFolder()),
    close,
  };
}

const watchdogPeriodMs = 100;

/**
 * Calls `check` periodically while at least one task is queued or running. Its timer also keeps the parent process
 * alive during that time. Idle children do not keep the parent alive, so a finished program can exit without closing
 * the pool.
 */
function makeWatchdog(check: () => void): { acquire(): void; release(): void } {
  let userCount = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    acquire() {
      userCount++;
      timer ??= setInterval(check, watchdogPeriodMs);
    },
    release() {
      userCount--;
      if (userCount > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
  };
}

function startFailedError(): AppError {
  return new AppError('unavailable', 'The decoder could not be started; see the log for details.');
}

function shuttingDownError(): AppError {
  return new AppError('unavailable', 'The decoder is shutting down.');
}
