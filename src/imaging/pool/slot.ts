import { AppError, familyOf } from '../../errors.ts';
import { type DecoderChild, spawnDecoderChild } from './decoder-child.ts';
import type { Logger } from '../../model/logger.ts';
import type { ChildMessage, Order, Outcome, WorkKind } from './messages.ts';
import { residentMemoryMb } from './resident-memory.ts';

/** What a slot is told once and for all. */
export interface SlotOptions {
  /** Module that the child runs. */
  readonly childModule: string;
  /** Wall time of one task. */
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly recycleAfterJobs: number;
  readonly logger: Logger;
  readonly counters: PoolCounters;
  /** Called when the slot can take a task, and when its child is gone. */
  onChange(): void;
}

/** Counts since the pool was made. */
export interface PoolCounters {
  recycled: number;
  crashes: number;
  timeouts: number;
  memoryKills: number;
}

/** What a slot's child is doing; `down` while there is none, after there was one. */
export type SlotState = 'unstarted' | 'starting' | 'idle' | 'busy' | 'down';

/** A task that a child is at work on. */
export interface TaskHandle {
  /** Rejects with the child's named error, or with `decoder_crashed` when the child does not survive the task. */
  readonly result: Promise<Outcome>;
  /** Ends the task's child; `result` then rejects with `reason`. Does nothing once the task has ended. */
  stop(reason: unknown): void;
}

interface Task extends PromiseWithResolvers<Outcome> {
  readonly id: number;
  readonly timer: NodeJS.Timeout;
  /** Why the task's child is being killed. */
  verdict?: { readonly reason: unknown };
}

const startLimitMs = 10_000;
const startsBeforeBroken = 3;
const longestPauseMs = 5000;
/** A child that holds more after a task gives its memory back by being replaced, in MB. */
const restingMemoryMb = 256;
/** The same, against its fresh state, for a child that has been idle for a while. */
const idleGrowthMb = 128;
const idleCheckMs = 3000;

/** A place in the pool: it keeps one child alive and gives it one task at a time. */
export class Slot {
  readonly #options: SlotOptions;
  #child: DecoderChild | undefined;
  #state: SlotState = 'unstarted';
  #task: Task | undefined;
  #taskCount = 0;
  #jobsOfChild = 0;
  #freshMb = 0;
  #failedStarts = 0;
  #isRecycling = false;
  #isClosed = false;
  readonly #closed = Promise.withResolvers<void>();
  /** One timer serves the phases of a child: its start, its idle time, and the pause before the next one. */
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  get state(): SlotState {
    return this.#state;
  }

  /** Several children in a row died before they had done anything. */
  get isBroken(): boolean {
    const isUseless = this.#state === 'down' || this.#state === 'starting';
    return isUseless && this.#failedStarts >= startsBeforeBroken;
  }

  /** Starts a child, unless there is one. */
  start(): void {
    if (this.#isClosed || this.#child !== undefined) return;
    this.#state = 'starting';
    this.#child = spawnDecoderChild(this.#options.childModule, this.#options.logger, {
      onMessage: (message) => this.#onMessage(message),
      onExit: (how) => this.#onExit(how),
    });
    this.#setTimer(() => this.#child?.kill(), startLimitMs);
  }

  /** Gives a task to the idle child. */
  run(order: Order): TaskHandle {
    clearTimeout(this.#timer);
    this.#state = 'busy';
    const id = ++this.#taskCount;
    const timer = setTimeout(() => this.#onTimeout(order.kind), this.#options.timeoutMs).unref();
    const task: Task = { ...Promise.withResolvers<Outcome>(), id, timer };
    this.#task = task;
    this.#child?.send({ id, order });
    return { result: task.promise, stop: (reason) => this.#task === task && this.#stop(reason) };
  }

  /** Ends the running task when its child holds more memory than it may. */
  checkMemory(): void {
    if (this.#task === undefined || this.#task.verdict !== undefined) return;
    const used = this.#memory();
    if (used <= this.#options.memoryMb) return;
    this.#options.counters.memoryKills++;
    const figures = `${Math.round(used)} MB of memory; the limit is ${this.#options.memoryMb} MB`;
    this.#stop(new AppError('decoder_crashed', `Decoding the picture was stopped: it took ${figures}.`));
  }

  /** Ends the child; resolves when it is gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#stop(new AppError('unavailable', 'The decoder is shutting down.'));
    if (this.#child === undefined) this.#closed.resolve();
    else this.#child.kill();
    return this.#closed.promise;
  }

  #onMessage(message: ChildMessage): void {
    if (message.type === 'ready') {
      this.#jobsOfChild = 0;
      this.#freshMb = this.#memory();
      this.#becomeIdle();
    } else if (this.#task?.id === message.id && this.#task.verdict === undefined) {
      this.#finish(this.#task, message);
    }
  }

  #finish(task: Task, message: Exclude<ChildMessage, { type: 'ready' }>): void {
    clearTimeout(task.timer);
    this.#task = undefined;
    this.#failedStarts = 0;
    this.#jobsOfChild++;
    if (message.type === 'done') task.resolve(message.result);
    else task.reject(this.#failureOf(message));
    const isWornOut = this.#jobsOfChild >= this.#options.recycleAfterJobs;
    if (isWornOut || this.#memory() > restingMemoryMb) this.#recycle();
    else this.#becomeIdle();
  }

  #failureOf(message: ChildMessage & { type: 'failed' }): AppError {
    const { code, cause } = message;
    // A bad picture is daily life; anything else deserves attention.
    const level = familyOf(code) === null ? 'warn' : 'info';
    if (cause !== undefined) this.#options.logger[level]({ code, cause }, 'A decoder child met an error');
    return new AppError(code, message.message);
  }

  #becomeIdle(): void {
    this.#state = 'idle';
    this.#setTimer(() => {
      if (this.#memory() > this.#freshMb + idleGrowthMb) this.#recycle();
    }, idleCheckMs);
    this.#options.onChange();
  }

  #recycle(): void {
    this.#isRecycling = true;
    this.#options.counters.recycled++;
    this.#state = 'down';
    this.#child?.kill();
  }

  #onExit(how: string): void {
    clearTimeout(this.#timer);
    const isExpected = this.#isRecycling || this.#state === 'busy';
    this.#child = undefined;
    this.#state = 'down';
    this.#isRecycling = false;
    if (this.#isClosed) this.#closed.resolve();
    else if (isExpected) this.start();
    else this.#startLater(how);
    this.#failTask(how);
    this.#options.onChange();
  }

  /** A child that dies by itself without work may do so every time: the next ones start ever more slowly. */
  #startLater(how: string): void {
    const pauseMs = Math.min(100 * 2 ** this.#failedStarts, longestPauseMs);
    this.#failedStarts++;
    this.#options.logger.error({ how, pauseMs }, 'A decoder child died without work; another is started');
    this.#setTimer(() => this.start(), pauseMs);
  }

  #failTask(how: string): void {
    const task = this.#task;
    if (task === undefined) return;
    this.#task = undefined;
    clearTimeout(task.timer);
    if (task.verdict !== undefined) {
      task.reject(task.verdict.reason);
      return;
    }
    this.#options.counters.crashes++;
    task.reject(new AppError('decoder_crashed', `The decoder crashed on this picture (${how}).`));
  }

  #onTimeout(kind: WorkKind): void {
    if (this.#task?.verdict !== undefined) return;
    this.#options.counters.timeouts++;
    const limit = `${this.#options.timeoutMs / 1000} s`;
    const sentence =
      kind === 'probe'
        ? `Reading the picture's header took longer than ${limit} and was stopped.`
        : `The picture took longer than ${limit} to decode and was stopped.`;
    this.#stop(new AppError('decoder_crashed', sentence));
  }

  #stop(reason: unknown): void {
    if (this.#task === undefined || this.#task.verdict !== undefined) return;
    this.#task.verdict = { reason };
    this.#child?.kill();
  }

  #memory(): number {
    const pid = this.#child?.pid;
    return pid === undefined ? 0 : (residentMemoryMb(pid) ?? 0);
  }

  #setTimer(run: () => void, ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(run, ms).unref();
  }
}
