import { AppError } from '../../errors.ts';
import type { Order, Outcome, WorkKind } from './messages.ts';
import type { RestrainedTenants } from './restrained-tenants.ts';
import { Slot, type SlotOptions } from './decoder-worker.ts';
import type { TaskHandle } from './task.ts';
import { makeWaitingLine, type Standing, type TenantKey } from './scheduling.ts';
import { makeWatchdog } from './watchdog.ts';

/** Settings of a lane. */
export interface LaneOptions extends Omit<SlotOptions, 'onChange' | 'isSpare'> {
  /** Number of children. */
  readonly size: number;
  /** Children that are always there; the others start when a request finds no idle child, and end when idle. */
  readonly alwaysThere?: number;
  readonly restrained: RestrainedTenants;
}

/** Children for some kinds of work, with the one line of requests that wait for them. */
export interface Lane<Kinds extends WorkKind> {
  start(): void;
  submit<Kind extends Kinds>(submission: Submission<Kind>): Promise<Outcome<Kind>>;
  counts(): {
    /** Places that have been started. */
    readonly size: number;
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

/** A request on its way into a lane. */
export interface Submission<Kind extends WorkKind> extends Standing {
  readonly order: Order & { readonly kind: Kind };
  readonly signal?: AbortSignal | undefined;
}

interface Entry extends PromiseWithResolvers<Outcome>, Standing {
  readonly order: Order;
  task?: TaskHandle;
}

/** A lane that is not started yet; the first request starts it too. */
export function makeLane<Kinds extends WorkKind>(options: LaneOptions): Lane<Kinds> {
  const line = makeWaitingLine<Entry>();
  const { size, alwaysThere = size } = options;
  const slots = Array.from(
    { length: size },
    (_, place) => new Slot({ ...options, isSpare: place >= alwaysThere, onChange: advance }),
  );
  const running = new Set<Entry>();
  const watchdog = makeWatchdog(() => slots.forEach((slot) => slot.checkMemory()));
  let isStarted = false;
  let isClosed = false;

  function start(): void {
    if (isStarted || isClosed) return;
    isStarted = true;
    for (const slot of slots.slice(0, alwaysThere)) slot.start();
  }

  /**
   * Whether a tenant may use another child: after one of its files killed a child, it is limited to one for a while.
   */
  function mayRun(tenant: TenantKey): boolean {
    return (
      !options.restrained.isRestrained(tenant) || !running.values().some((entry) => entry.tenant === tenant)
    );
  }

  /** Children that have not been started yet would fail in the same way. */
  function isBroken(): boolean {
    const started = slots.filter((slot) => slot.state !== 'unstarted');
    return started.length > 0 && started.every((slot) => slot.isBroken);
  }

  /** Gives waiting requests to idle children, or refuses them all when no child can be kept alive. */
  function advance(): void {
    if (isBroken()) {
      for (const entry of line.clear()) entry.reject(cannotStart());
    }
    for (const slot of slots) {
      if (slot.state !== 'idle') continue;
      const entry = line.next(mayRun);
      if (entry === undefined) break;
      run(entry, slot);
    }
    // A child that is starting will take the next request sooner than another one could.
    if (line.length === 0 || slots.some((slot) => slot.state === 'starting')) return;
    slots.find((slot) => slot.state === 'unstarted')?.start();
  }

  function run(entry: Entry, slot: Slot): void {
    running.add(entry);
    entry.task = slot.run(entry.order);
    entry.task.result.then(
      (result) => end(entry, () => entry.resolve(result)),
      (error: unknown) => {
        if (error instanceof AppError && error.code === 'decoder_crashed')
          options.restrained.restrain(entry.tenant);
        end(entry, () => entry.reject(error));
      },
    );
  }

  function end(entry: Entry, settle: () => void): void {
    running.delete(entry);
    settle();
    // A restrained tenant's place is free only now that its child is idle.
    advance();
  }

  function abort(entry: Entry, reason: unknown): void {
    if (line.remove(entry)) entry.reject(reason);
    else entry.task?.stop(reason);
  }

  async function submit<Kind extends Kinds>(submission: Submission<Kind>): Promise<Outcome<Kind>> {
    const { order, priority, tenant, signal } = submission;
    signal?.throwIfAborted();
    if (isClosed) throw shuttingDown();
    start();
    const entry: Entry = { ...Promise.withResolvers<Outcome>(), order, priority, tenant };
    const onAbort = () => abort(entry, signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    watchdog.hold();
    line.add(entry);
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
      size: slots.filter(({ state }) => state !== 'unstarted').length,
      alive: slots.filter((slot) => slot.state === 'idle' || slot.state === 'busy').length,
      busy: slots.filter((slot) => slot.state === 'busy').length,
      waiting: line.length,
      isBroken: isBroken(),
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
