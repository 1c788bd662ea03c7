import { AppError } from '../../errors.ts';
import type { Logger } from '../../model/logger.ts';
import type { Frame } from './channel.ts';
import type { ChildCommandOptions } from './child-command.ts';
import { type DecoderChild, spawnDecoderChild } from './decoder-child.ts';
import { toFileError } from './file-errors.ts';
import type { ChildMessage, Task, TaskKind, TaskResult } from './messages.ts';
import { InvalidResponse, maxPayloadBytes, readChildMessage, readError, readResult } from './responses.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';

/** Settings of a worker. */
export interface DecoderWorkerOptions extends Pick<ChildCommandOptions, 'launcher'> {
  /** Module that the child runs. */
  readonly childModule: string;
  /** Parent of the workers' input folders. */
  readonly workDirectory: string;
  /** Maximum wall-clock time of a task. */
  readonly timeoutMs: number;
  /** Maximum resident memory of a busy child, in MB. */
  readonly memoryMb: number;
  readonly maxTasksPerChild: number;
  /** Whether the child is killed after some idle time; `start` then starts a new one. */
  readonly isSpare: boolean;
  readonly logger: Logger;
  readonly counters: PoolCounters;
  /** Called when the worker becomes idle, and when its child has exited. */
  onChange(): void;
}

/** Event counts since the pool was created. */
export interface PoolCounters {
  recycled: number;
  crashes: number;
  timeouts: number;
  memoryKills: number;
}

/**
 * State of a worker:
 * - `unstarted`: the worker has no child until `start` is called.
 * - `starting`: the child has not yet reported that it is ready.
 * - `idle` or `busy`: the child is waiting for a task, or performing one.
 * - `recycling`: the child is being killed; a new one starts immediately.
 * - `retiring`: the idle child of a spare worker is being killed; the next state is `unstarted`.
 * - `down`: the child died while it had no task; a new one starts after a pause.
 */
export type WorkerState = 'unstarted' | 'starting' | 'idle' | 'busy' | 'recycling' | 'retiring' | 'down';

/** A running task. */
export interface TaskHandle {
  /** Rejects with the error that the child reported, or with `decoder_crashed` if the child died. */
  readonly result: Promise<TaskResult>;
  /** Kills the child; `result` then rejects with `reason`. Does nothing once the task has ended. */
  stop(reason: unknown): void;
}

interface RunningTask extends PromiseWithResolvers<TaskResult> {
  readonly id: number;
  readonly task: Task;
  readonly timer: NodeJS.Timeout;
  /** Set while the child is being killed because of this task. */
  stopped?: { readonly reason: unknown };
}

const maxStartMs = 10_000;
const failedStartsUntilBroken = 3;
const maxRestartPauseMs = 5000;
/** If a child holds more memory than this (in MB) after a task, it is replaced to return memory to the system. */
const maxMemoryAfterTaskMb = 256;
/** An idle child is replaced too if its memory has grown by more than this (in MB) since its start. */
const maxIdleGrowthMb = 128;
const idleCheckMs = 3000;
/** Idle time after which the child of a spare worker is killed, because it holds about 70 MB. */
const spareIdleMs = 10_000;

/** Keeps one decoder child alive and gives it one task at a time. */
export class DecoderWorker {
  readonly #options: DecoderWorkerOptions;
  readonly #folder: WorkFolder;
  #child: DecoderChild | undefined;
  #state: WorkerState = 'unstarted';
  #running: RunningTask | undefined;
  #lastTaskId = 0;
  #completedByChild = 0;
  #initialMemoryMb = 0;
  #failedStarts = 0;
  #isClosed = false;
  readonly #closed = Promise.withResolvers<void>();
  /** Shared by phases that never overlap: the start of a child, its idle time, and the pause before the next start. */
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DecoderWorkerOptions) {
    this.#options = options;
    this.#folder = makeWorkFolder(options.workDirectory);
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Whether several children in a row died without completing a task. */
  get isBroken(): boolean {
    const hasNoChild = this.#state === 'down' || this.#state === 'starting';
    return hasNoChild && this.#failedStarts >= failedStartsUntilBroken;
  }

  /** Starts a child unless one is running. */
  start(): void {
    if (this.#isClosed || this.#child !== undefined) return;
    this.#state = 'starting';
    this.#folder.ensure();
    const { childModule: module, launcher, logger } = this.#options;
    this.#child = spawnDecoderChild({ module, launcher, folder: this.#folder.path }, logger, {
      maxPayloadBytes: () => (this.#running === undefined ? 0 : maxPayloadBytes(this.#running.task)),
      onFrame: (frame) => this.#onFrame(frame),
      onBrokenChannel: (reason) => this.#onInvalidResponse(reason),
      onExit: (exitReason) => this.#onExit(exitReason),
    });
    this.#setTimer(() => this.#child?.kill(), maxStartMs);
  }

  /** Assigns a task to the idle child. */
  run(task: Task): TaskHandle {
    clearTimeout(this.#timer);
    this.#state = 'busy';
    const id = ++this.#lastTaskId;
    const timer = setTimeout(() => this.#onTimeout(task.kind), this.#options.timeoutMs).unref();
    const running: RunningTask = { ...Promise.withResolvers<TaskResult>(), id, task, timer };
    this.#running = running;
    void this.#sendTask(running);
    return { result: running.promise, stop: (reason) => this.#running === running && this.#stop(reason) };
  }

  /** Marks the input folder as in use. */
  touchFolder(): void {
    this.#folder.touch();
  }

  /** Stops the running task if the child exceeds its memory limit. */
  checkMemory(): void {
    if (this.#running === undefined || this.#running.stopped) return;
    const used = this.#memoryMb();
    if (used <= this.#options.memoryMb) return;
    const figures = `${Math.round(used)} MB of memory; the limit is ${this.#options.memoryMb} MB`;
    const message = `Decoding the image was stopped because it used ${figures}.`;
    this.#stop(new AppError('decoder_crashed', message), 'memoryKills');
  }

  /** Kills the child; resolves once it has exited. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#stop(new AppError('unavailable', 'The decoder is shutting down.'));
    if (this.#child === undefined) this.#closed.resolve();
    else this.#child.kill();
    await this.#closed.promise;
    await this.#folder.remove().catch(() => undefined);
  }

  /** Places the input files in the child's folder, sends the task, and removes the files after the task. */
  async #sendTask(running: RunningTask): Promise<void> {
    const isCurrent = () => this.#running === running && running.stopped === undefined;
    try {
      const { task, removeInputs } = await this.#folder.place(running.task);
      if (isCurrent()) this.#child?.send({ id: running.id, task });
      await running.promise.catch(() => undefined);
      await removeInputs();
    } catch (error) {
      if (!isCurrent()) return;
      // The task was not sent, so the child is ready for the next one.
      this.#forgetTask(running);
      running.reject(toFileError(error) ?? error);
      this.#becomeIdle();
    }
  }

  #forgetTask(running: RunningTask): void {
    clearTimeout(running.timer);
    this.#running = undefined;
  }

  /** Whether the child is being killed. Anything it still sends is then ignored. */
  #isKillingChild(): boolean {
    return ['recycling', 'retiring', 'down'].includes(this.#state) || this.#running?.stopped !== undefined;
  }

  #onFrame({ message: content, payload }: Frame): void {
    if (this.#isKillingChild()) return;
    try {
      const message = readChildMessage(content);
      if (message.type === 'ready') this.#onReady();
      else this.#onResponse(message, payload);
    } catch (error) {
      this.#onInvalidResponse(error instanceof Error ? error.message : String(error));
    }
  }

  #onReady(): void {
    if (this.#state !== 'starting') throw new InvalidResponse('a second ready message');
    this.#child?.preferForOomKill();
    this.#completedByChild = 0;
    this.#initialMemoryMb = this.#memoryMb();
    this.#becomeIdle();
  }

  #onResponse(message: Exclude<ChildMessage, { type: 'ready' }>, payload: Buffer): void {
    const running = this.#running;
    if (running?.id !== message.id) throw new InvalidResponse('a response without a request');
    if (message.type === 'done') running.resolve(readResult(running.task, message.result, payload));
    else running.reject(readError(message, this.#options.logger));
    this.#forgetTask(running);
    this.#failedStarts = 0;
    this.#completedByChild++;
    const hasReachedLimit = this.#completedByChild >= this.#options.maxTasksPerChild;
    if (hasReachedLimit || this.#memoryMb() > maxMemoryAfterTaskMb) this.#kill('recycling');
    else this.#becomeIdle();
  }

  /** Kills the child, because a malicious picture may control it. */
  #onInvalidResponse(problem: string): void {
    if (this.#isKillingChild()) return;
    this.#options.logger.warn(
      { pid: this.#child?.pid(), problem },
      'A decoder child sent an invalid response; killing it',
    );
    this.#options.counters.crashes++;
    if (this.#running === undefined) this.#kill('down');
    else this.#stop(new AppError('decoder_crashed', 'The decoder sent an invalid response and was stopped.'));
  }

  #becomeIdle(): void {
    this.#state = 'idle';
    if (this.#options.isSpare) this.#setTimer(() => this.#kill('retiring'), spareIdleMs);
    else
      this.#setTimer(() => {
        if (this.#memoryMb() > this.#initialMemoryMb + maxIdleGrowthMb) this.#kill('recycling');
      }, idleCheckMs);
    this.#options.onChange();
  }

  #kill(state: 'recycling' | 'retiring' | 'down'): void {
    if (state === 'recycling') this.#options.counters.recycled++;
    this.#state = state;
    this.#child?.kill();
  }

  #onExit(exitReason: string): void {
    clearTimeout(this.#timer);
    const previousState = this.#state;
    this.#child = undefined;
    this.#state = previousState === 'retiring' ? 'unstarted' : 'down';
    if (this.#isClosed) this.#closed.resolve();
    else if (previousState === 'recycling' || previousState === 'busy') this.start();
    else if (previousState !== 'retiring') this.#startLater(exitReason);
    this.#rejectTask(exitReason);
    this.#options.onChange();
  }

  /** Starts a new child after a pause that grows with each failure, because the cause may be permanent. */
  #startLater(exitReason: string): void {
    const pauseMs = Math.min(100 * 2 ** this.#failedStarts, maxRestartPauseMs);
    this.#failedStarts++;
    this.#options.logger.error({ exitReason, pauseMs }, 'A decoder child died without a task; restarting it');
    this.#setTimer(() => this.start(), pauseMs);
  }

  #rejectTask(exitReason: string): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#forgetTask(running);
    if (running.stopped === undefined) this.#options.counters.crashes++;
    const crash = new AppError('decoder_crashed', `The decoder crashed on this image (${exitReason}).`);
    running.reject(running.stopped ? running.stopped.reason : crash);
  }

  #onTimeout(kind: TaskKind): void {
    const limit = `${this.#options.timeoutMs / 1000} s`;
    const message =
      kind === 'probe'
        ? `Reading the image's header took longer than ${limit} and was stopped.`
        : `Decoding the image took longer than ${limit} and was stopped.`;
    this.#stop(new AppError('decoder_crashed', message), 'timeouts');
  }

  #stop(reason: unknown, counter?: keyof PoolCounters): void {
    if (this.#running === undefined || this.#running.stopped) return;
    if (counter !== undefined) this.#options.counters[counter]++;
    this.#running.stopped = { reason };
    this.#child?.kill();
  }

  #memoryMb(): number {
    return this.#child?.memoryMb() ?? 0;
  }

  #setTimer(run: () => void, ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(run, ms).unref();
  }
}
