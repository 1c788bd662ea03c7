import { AppError } from '../../errors.ts';
import type { Order, Outcome, WorkKind } from './messages.ts';
import { Slot, type SlotOptions } from './slot.ts';
import type { TaskHandle } from './task.ts';
import { makeWaitingLine } from './waiting-line.ts';
import { makeWatchdog } from './watchdog.ts';

/** What a lane is told once and for all. */
export interface LaneOptions extends Omit<SlotOptions, 'onChange'> {
  /** Number of children. */
  readonly size: number;
}

/** Children for some kinds of work, with the one line of requests that wait for them. */
export interface Lane<Kinds extends WorkKind> {
  start(): void;
  submit<Kind extends Kinds>(submission: Submission<Kind>): Promise<Outcome<Kind>>;
  counts(): {
    readonly alive: number;
    readonly busy: number;
    readonly waiting: number;
    /** No child can be kept alive. */
    readonly isBroken: boolean;
  };
  /** Marks the folders of the children as in use. */
  touchFolders(): void;
  close(): Promise<void>;
}

/** A request on its way into a lane; lower priority goes first. */
export interface Submission<Kind extends WorkKind> {
  readonly order: Order & { readonly kind: Kind };
  readonly priority: number;
  readonly signal?: AbortSignal | undefined;
}

interface Entry extends PromiseWithResolvers<Outcome> {
  readonly order: Order;
  task?: TaskHandle;
}

/** A lane that is not started yet; the first request starts it too. */
export function makeLane<Kinds extends WorkKind>(options: LaneOptions): Lane<Kinds> {
  const line = makeWaitingLine<Entry>();
  const slots = Array.from({ length: options.size }, () => new Slot({ ...options, onChange: advance }));
  const watchdog = makeWatchdog(() => slots.forEach((slot) => slot.checkMemory()));
  let isStarted = false;
  let isClosed = false;

  function start(): void {
    if (isStarted || isClosed) return;
    isStarted = true;
    for (const slot of slots) slot.start();
  }

  /** Gives waiting requests to idle children, or refuses them all when no child can be kept alive. */
  function advance(): void {
    if (slots.every((slot) => slot.isBroken)) {
      for (const entry of line.clear()) entry.reject(cannotStart());
    }
    for (const slot of slots) {
      if (slot.state !== 'idle') continue;
      const entry = line.next();
      if (entry === undefined) return;
      entry.task = slot.run(entry.order);
      entry.task.result.then(entry.resolve, entry.reject);
    }
  }

  function abort(entry: Entry, reason: unknown): void {
    if (line.remove(entry)) entry.reject(reason);
    else entry.task?.stop(reason);
  }

  async function submit<Kind extends Kinds>(submission: Submission<Kind>): Promise<Outcome<Kind>> {
    const { order, priority, signal } = submission;
    signal?.throwIfAborted();
    if (isClosed) throw shuttingDown();
    start();
    const entry: Entry = { ...Promise.withResolvers<Outcome>(), order };
    const onAbort = () => abort(entry, signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    watchdog.hold();
    line.add(entry, priority);
    advance();
    try {
      return await entry.promise;
    } finally {
      watchdog.release();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async function close(): Promise<void> {
    isClosed = true;
    for (const entry of line.clear()) entry.reject(shuttingDown());
    watchdog.hold();
    await Promise.all(slots.map((slot) => slot.close())).finally(() => watchdog.release());
  }

  return {
    start,
    submit,
    counts: () => ({
      alive: slots.filter((slot) => slot.state === 'idle' || slot.state === 'busy').length,
      busy: slots.filter((slot) => slot.state === 'busy').length,
      waiting: line.length,
      isBroken: slots.every((slot) => slot.isBroken),
    }),
    touchFolders: () => slots.forEach((slot) => slot.touchFolder()),
    close,
  };
}

function cannotStart(): AppError {
  return new AppError('unavailable', 'The decoder could not be started; the log has the details.');
}

function shuttingDown(): AppError {
  return new AppError('unavailable', 'The decoder is shutting down.');
}
