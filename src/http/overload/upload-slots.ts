import { type Caller, type Callers, makeCallers } from './callers.ts';
import { makeSurgeDetector, type SurgeDetector } from './surge.ts';
import { countUploads } from './transfer-limits.ts';

/** A place among the uploads that are processed at the same time. */
export interface UploadSlot {
  /** Resolves to whether the upload may proceed. If it may not, the slot needs no release. */
  readonly granted: Promise<boolean> | boolean;
  /** Lets others use the slot while the body arrives slowly. */
  readonly suspend: () => void;
  /** Waits for a slot again after `suspend`. Resolves at once if the slot was not suspended. */
  readonly resume: () => Promise<void>;
  /** Gives the slot back, or leaves the line. Can be called repeatedly. */
  readonly release: () => void;
}

/** Limits the uploads that are processed at the same time, and shares them between callers. */
export interface UploadSlots {
  /** @param caller identifies whose share the slot is taken from */
  take(caller: string): UploadSlot;
  /** Returns why an upload that has just been refused could not wait, as a sentence. */
  explainRefusal(): string;
  counts(): { readonly active: number; readonly waiting: number; readonly isOverloaded: boolean };
}

interface Options {
  /** Maximum number of uploads that are processed at the same time. */
  readonly maxActive: number;
  /** Maximum number of uploads that wait. */
  readonly maxWaiting: number;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

interface Entry {
  readonly caller: Caller<Entry>;
  readonly takenAt: number;
  /** When it began to be processed, most recently. */
  startedAt: number;
  state: 'waiting' | 'active' | 'suspended' | 'ended';
  /** Whether the upload has already been admitted, so that it must not be refused. */
  isAdmitted: boolean;
  settle: (isGranted: boolean) => void;
}

/**
 * Creates the slots. A caller may use all of them while it is alone. While several callers are active, each has a share. An
 * upload that finds no free slot waits. If more uploads wait than may wait, the process is overloaded: only callers below their
 * share may still wait, and all other uploads are refused.
 */
export function makeUploadSlots(options: Options): UploadSlots {
  const slots = new Slots(options);
  return {
    take: (caller) => slots.take(caller),
    explainRefusal: () => slots.explainRefusal(),
    counts: () => slots.counts(),
  };
}

/** In an overload, this multiple of the slots may wait, and of a caller that does not cause it this multiple of its share. */
const overloadLineFactor = 2;

/** Maximum rest of a caller after an upload. */
const maxRestMs = 500;

/** Returns the waiting uploads of a caller that have not been admitted yet. */
function findNew({ waiting }: Caller<Entry>): Entry[] {
  return waiting.filter(({ isAdmitted }) => !isAdmitted);
}

class Slots implements UploadSlots {
  readonly #maxActive: number;
  readonly #maxWaiting: number;
  readonly #now: () => number;
  readonly #callers: Callers<Entry>;
  /** Detects an overload of the whole process. */
  readonly #total: SurgeDetector;
  #activeCount = 0;
  #waitingCount = 0;
  /** Number of waiting uploads that have already been admitted, which no limit concerns. */
  #resumingCount = 0;

  constructor({ maxActive, maxWaiting, now = () => performance.now() }: Options) {
    this.#maxActive = maxActive;
    this.#maxWaiting = maxWaiting;
    this.#now = now;
    this.#callers = makeCallers(maxActive, now);
    this.#total = makeSurgeDetector(maxActive, now);
  }

  counts() {
    return {
      active: this.#activeCount,
      waiting: this.#waitingCount,
      isOverloaded: this.#total.isOverloaded(),
    };
  }

  explainRefusal(): string {
    const [active, waiting] = [this.#activeCount, this.#waitingCount];
    const fewer =
      waiting < this.#maxWaiting ? '; while more arrive than can be processed, fewer may wait' : '';
    return `${countUploads(active)} being processed (MAX_ACTIVE_UPLOADS = ${this.#maxActive}) and ${waiting} ${waiting === 1 ? 'is' : 'are'} waiting (MAX_WAITING_UPLOADS = ${this.#maxWaiting})${fewer}.`;
  }

  take(key: string): UploadSlot {
    const caller = this.#callers.see(key);
    this.#total.recordArrival();
    caller.surge.recordArrival();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const entry: Entry = {
      caller,
      takenAt: this.#now(),
      startedAt: 0,
      state: 'waiting',
      isAdmitted: false,
      settle: resolve,
    };
    if (caller.waiting.length === 0 && this.#mayStart(caller)) this.#start(entry);
    else if (this.#mayWait(caller)) this.#enqueue(entry);
    else this.#refuse(entry);
    return {
      granted: entry.state === 'waiting' ? promise : entry.state === 'active',
      suspend: () => this.#suspend(entry),
      resume: () => this.#resume(entry),
      release: () => this.#release(entry),
    };
  }

  #mayStart(caller: Caller<Entry>): boolean {
    return this.#activeCount < this.#maxActive && this.#callers.mayStart(caller);
  }

  #start(entry: Entry): void {
    entry.state = 'active';
    entry.startedAt = this.#now();
    entry.isAdmitted = true;
    entry.caller.active += 1;
    entry.caller.lastStart = entry.startedAt;
    this.#activeCount += 1;
    entry.settle(true);
  }

  #enqueue(entry: Entry): void {
    entry.state = 'waiting';
    entry.caller.waiting.push(entry);
    this.#waitingCount += 1;
    this.#resumingCount += Number(entry.isAdmitted);
  }

  #leaveLine(entry: Entry): void {
    const index = entry.caller.waiting.indexOf(entry);
    if (index < 0) return;
    entry.caller.waiting.splice(index, 1);
    this.#waitingCount -= 1;
    this.#resumingCount -= Number(entry.isAdmitted);
  }

  #refuse(entry: Entry): void {
    this.#leaveLine(entry);
    entry.state = 'ended';
    this.#total.recordRefusal();
    entry.caller.surge.recordRefusal();
    entry.settle(false);
  }

  /** Whether an upload that cannot start yet may wait. Makes room in a full line if another caller fills it. */
  #mayWait(caller: Caller<Entry>): boolean {
    const isFull = () => this.#waitingCount - this.#resumingCount >= this.#maxLine();
    if (isFull()) this.#shedLines();
    return !isFull() && findNew(caller).length < this.#maxLineOf(caller);
  }

  /** How many uploads may wait. In an overload, the line is short, so that those who may still wait do not wait for long. */
  #maxLine(): number {
    return this.#total.isOverloaded()
      ? Math.min(this.#maxWaiting, overloadLineFactor * this.#maxActive)
      : this.#maxWaiting;
  }

  /** How many uploads of a caller may wait. */
  #maxLineOf(caller: Caller<Entry>): number {
    const share = this.#callers.shareOf(caller);
    if (caller.surge.isOverloaded()) return Math.max(0, share - caller.active);
    return this.#total.isOverloaded() ? overloadLineFactor * share : this.#maxWaiting;
  }

  /** Enters an overload, and refuses the waiting uploads that may not wait any more. */
  #shedLines(): void {
    const callers = [...this.#callers.all()];
    const longestLine = Math.max(0, ...callers.map(({ waiting }) => waiting.length));
    this.#total.enterOverload();
    for (const { waiting, surge } of callers) if (waiting.length === longestLine) surge.enterOverload();
    for (const caller of callers)
      for (const entry of findNew(caller).slice(this.#maxLineOf(caller))) this.#refuse(entry);
  }

  #startWaiting(): void {
    while (this.#waitingCount > 0 && this.#activeCount < this.#maxActive) {
      const caller = this.#callers.findNext();
      // In a surge, the newest upload is served first. Its client is still waiting for it, and it will be in time, whereas in
      // the order of arrival every upload would be late.
      const entry = caller?.surge.isSurging() ? caller.waiting.at(-1) : caller?.waiting[0];
      if (!entry) return;
      this.#leaveLine(entry);
      this.#start(entry);
    }
  }

  #endActive({ caller, startedAt }: Entry): void {
    this.#activeCount -= 1;
    const restMs = this.#callers.mustRest(caller) ? Math.min(maxRestMs, this.#now() - startedAt) : 0;
    if (restMs === 0) return this.#returnShare(caller);
    setTimeout(() => this.#returnShare(caller), restMs).unref();
    this.#startWaiting();
  }

  #returnShare(caller: Caller<Entry>): void {
    caller.active -= 1;
    this.#startWaiting();
  }

  #suspend(entry: Entry): void {
    if (entry.state !== 'active') return;
    entry.state = 'suspended';
    this.#endActive(entry);
  }

  async #resume(entry: Entry): Promise<void> {
    if (entry.state !== 'suspended') return;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    entry.settle = resolve;
    if (this.#mayStart(entry.caller)) this.#start(entry);
    else this.#enqueue(entry);
    await promise;
  }

  #release(entry: Entry): void {
    const { state } = entry;
    entry.state = 'ended';
    if (state === 'waiting') {
      this.#leaveLine(entry);
      entry.settle(false);
    }
    if (state !== 'active') return;
    this.#total.recordCompletion();
    entry.caller.surge.recordCompletion();
    this.#endActive(entry);
  }
}
