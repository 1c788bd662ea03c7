import { AppError } from '../../errors.ts';
import { maxPayloadBytes, readChildMessage, WrongAnswer } from './responses.ts';
import type { Frame } from './channel.ts';
import { type DecoderChild, spawnDecoderChild } from './decoder-child.ts';
import { namedFileError } from './file-errors.ts';
import type { Logger } from '../../model/logger.ts';
import type { Order, Outcome, WorkKind } from './messages.ts';
import { residentMemoryMb } from './resident-memory.ts';
import { settlementOf, type Task, type TaskHandle } from './task.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';

/** Settings of a slot. */
export interface SlotOptions {
  /** Module that the child runs. */
  readonly childModule: string;
  /** Program and arguments in front of the child's Node; empty for none. */
  readonly launcher: readonly string[];
  /** Folder with an input folder for each slot of the pool. */
  readonly workDirectory: string;
  /** Wall time of one task. */
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly recycleAfterJobs: number;
  /** The child ends when it has been idle for a while; `start` starts another. */
  readonly isSpare: boolean;
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

/** State of a slot's child; `down` if there is none, after there was one. */
export type SlotState = 'unstarted' | 'starting' | 'idle' | 'busy' | 'down';

const startLimitMs = 10_000;
const startsBeforeBroken = 3;
const longestPauseMs = 5000;
/** A child that holds more after a task gives its memory back by being replaced, in MB. */
const restingMemoryMb = 256;
/** The same, against its fresh state, for a child that has been idle for a while. */
const idleGrowthMb = 128;
const idleCheckMs = 3000;
/** Idle time after which the child of a spare place ends: it holds some 70 MB. */
const spareIdleMs = 10_000;

/** A place in the pool: it keeps one child alive and gives it one task at a time. */
export class Slot {
  readonly #options: SlotOptions;
  readonly #folder: WorkFolder;
  #child: DecoderChild | undefined;
  #state: SlotState = 'unstarted';
  #task: Task | undefined;
  #taskCount = 0;
  #jobsOfChild = 0;
  #freshMb = 0;
  #failedStarts = 0;
  #isRecycling = false;
  #isRetiring = false;
  #isClosed = false;
  readonly #closed = Promise.withResolvers<void>();
  /** One timer serves the phases of a child: its start, its idle time, and the pause before the next one. */
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
    this.#folder = makeWorkFolder(options.workDirectory);
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
    this.#folder.ensure();
    const { childModule: module, launcher, logger } = this.#options;
    this.#child = spawnDecoderChild({ module, launcher, folder: this.#folder.path }, logger, {
      maxPayloadBytes: () => (this.#task === undefined ? 0 : maxPayloadBytes(this.#task.order)),
      onFrame: (frame) => this.#onFrame(frame),
      onBrokenChannel: (reason) => this.#onWrongAnswer(reason),
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
    const task: Task = { ...Promise.withResolvers<Outcome>(), id, order, timer };
    this.#task = task;
    void this.#handOver(task);
    return { result: task.promise, stop: (reason) => this.#task === task && this.#stop(reason) };
  }

  /** Marks the folder of the slot as in use. */
  touchFolder(): void {
    this.#folder.touch();
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
    await this.#closed.promise;
    await this.#folder.remove().catch(() => undefined);
  }

  /** Gives the child the task's files, waits for it to finish, and removes them again. */
  async #handOver(task: Task): Promise<void> {
    try {
      const { order, clear } = await this.#folder.place(task.order);
      if (this.#isCurrent(task)) this.#child?.send({ id: task.id, order });
      await task.promise.catch(() => undefined);
      await clear();
    } catch (error) {
      // The child has received nothing of the task and can take the next one.
      if (!this.#isCurrent(task)) return;
      this.#endTask(task);
      task.reject(namedFileError(error) ?? error);
      this.#becomeIdle();
    }
  }

  #isCurrent(task: Task): boolean {
    return this.#task === task && task.verdict === undefined;
  }

  #endTask(task: Task): void {
    clearTimeout(task.timer);
    this.#task = undefined;
  }

  #onFrame({ message: sent, payload }: Frame): void {
    // Anything a child sends while it is being killed is ignored.
    if (this.#state === 'down' || this.#task?.verdict !== undefined) return;
    try {
      const message = readChildMessage(sent);
      if (message.type === 'ready') this.#onReady();
      else this.#finish(settlementOf(this.#task, message, payload, this.#options.logger));
    } catch (error) {
      this.#onWrongAnswer(error instanceof Error ? error.message : String(error));
    }
  }

  #onReady(): void {
    if (this.#state !== 'starting') throw new WrongAnswer('ready a second time');
    this.#child?.offerToMemoryKiller();
    this.#jobsOfChild = 0;
    this.#freshMb = this.#memory();
    this.#becomeIdle();
  }

  /** A malicious picture may control the child: kill it, and ignore what it sent. */
  #onWrongAnswer(what: string): void {
    if (this.#state === 'down' || this.#task?.verdict !== undefined) return;
    this.#options.logger.warn(
      { pid: this.#child?.pid(), what },
      'A decoder child gave a wrong answer; it is killed',
    );
    this.#options.counters.crashes++;
    if (this.#task === undefined) {
      this.#state = 'down';
      this.#child?.kill();
      return;
    }
    const sentence = 'The decoder gave no valid answer on this picture and was stopped.';
    this.#stop(new AppError('decoder_crashed', sentence));
  }

  #finish({ task, settle }: ReturnType<typeof settlementOf>): void {
    this.#endTask(task);
    this.#failedStarts = 0;
    this.#jobsOfChild++;
    settle();
    const isWornOut = this.#jobsOfChild >= this.#options.recycleAfterJobs;
    if (isWornOut || this.#memory() > restingMemoryMb) this.#recycle();
    else this.#becomeIdle();
  }

  #becomeIdle(): void {
    this.#state = 'idle';
    if (this.#options.isSpare) this.#setTimer(() => this.#retire(), spareIdleMs);
    else
      this.#setTimer(() => {
        if (this.#memory() > this.#freshMb + idleGrowthMb) this.#recycle();
      }, idleCheckMs);
    this.#options.onChange();
  }

  #retire(): void {
    this.#isRetiring = true;
    this.#state = 'down';
    this.#child?.kill();
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
    this.#state = this.#isRetiring ? 'unstarted' : 'down';
    const isRetired = this.#isRetiring;
    this.#isRecycling = false;
    this.#isRetiring = false;
    if (this.#isClosed) this.#closed.resolve();
    else if (isExpected) this.start();
    else if (!isRetired) this.#startLater(how);
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
    this.#endTask(task);
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
    const pid = this.#child?.pid();
    return pid === undefined ? 0 : (residentMemoryMb(pid) ?? 0);
  }

  #setTimer(run: () => void, ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(run, ms).unref();
  }
}
