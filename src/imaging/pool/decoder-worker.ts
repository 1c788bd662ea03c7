import { AppError } from '../../errors.ts';
import { builtInSpace, type EmbeddingSpace } from '../../model/fingerprint.ts';
import type { Frame } from './channel.ts';
import { type DecoderChild, spawnDecoderChild } from './decoder-child.ts';
import { toFileError } from './file-errors.ts';
import type { ChildMessage, Task, TaskKind, TaskResult } from './messages.ts';
import * as responses from './responses.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';
import type { DecoderWorkerOptions, PoolCounters } from './worker-options.ts';

/**
 * State of a worker:
 * - `unstarted`: the worker has no child until `start` is called.
 * - `starting`: the child has not yet reported that it is ready.
 * - `idle` or `busy`: the child is waiting for a task, or performing one.
 * - `recycling`: the child is being killed, and a new child starts immediately.
 * - `retiring`: the idle child of a spare worker is being killed, and the next state is `unstarted`.
 * - `down`: the child exited while it had no task, and a new child starts after a pause.
 */
export type WorkerState = 'unstarted' | 'starting' | 'idle' | 'busy' | 'recycling' | 'retiring' | 'down';

const killingStates: ReadonlySet<WorkerState> = new Set(['recycling', 'retiring', 'down']);

/** A running task. */
export interface TaskHandle {
  /** Rejects with the error that the child reported, or with `decoder_crashed` if the child exited. */
  readonly result: Promise<TaskResult>;
  /** Kills the child, so that `result` rejects with `reason`. Does nothing once the task has ended. */
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
/** A child with a model reads the model first, which may have a gigabyte. */
const maxModelStartMs = 60_000;
const maxFailedStarts = 3;
const maxRestartPauseMs = 5000;
/** If a child uses more memory than this (in MB) after a task, it is replaced to return memory to the system. */
const maxMemoryAfterTaskMb = 256;
/** A child with a model may use this much (in MB) on top of its memory after the start, which includes the model. */
const maxGrowthWithModelMb = 512;
/** An idle child is also replaced if its memory has grown by more than this (in MB) since its start. */
const maxIdleGrowthMb = 128;
const idleCheckMs = 3000;
/** Idle time after which the child of a spare worker is killed, because it uses about 70 MB of memory. */
const spareIdleMs = 10_000;

/** Keeps one decoder child running, and assigns it one task at a time. */
export class DecoderWorker {
  readonly #options: DecoderWorkerOptions;
  readonly #folder: WorkFolder;
  #child: DecoderChild | undefined;
  #state: WorkerState = 'unstarted';
  #runningTask: RunningTask | undefined;
  #lastTaskId = 0;
  #completedTaskCount = 0;
  #initialMemoryMb = 0;
  #failedStarts = 0;
  #isClosed = false;
  readonly #closed = Promise.withResolvers<void>();
  /** Shared by phases that never overlap: the start of a child, its idle time, and the pause before the next start. */
  #timer: NodeJS.Timeout | undefined;
  readonly #memoryMb = (): number => this.#child?.memoryMb() ?? 0;

  constructor(options: DecoderWorkerOptions) {
    this.#options = options;
    this.#folder = makeWorkFolder(options.workDirectory);
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Whether several children in a row exited without completing a task. */
  get isBroken(): boolean {
    return (this.#state === 'down' || this.#state === 'starting') && this.#failedStarts >= maxFailedStarts;
  }

  /** Whether the child has performed its maximum number of tasks. It can perform more until the worker is replaced. */
  get isWorn(): boolean {
    return this.#completedTaskCount >= this.#options.maxTasksPerChild;
  }

  /** Starts a child unless it is already running. */
  start(): void {
    if (this.#isClosed || this.#child !== undefined) return;
    this.#state = 'starting';
    this.#completedTaskCount = 0;
    this.#folder.createIfMissing();
    const { childModule: module, launcher, model, logger } = this.#options;
    this.#child = spawnDecoderChild({ module, launcher, model, folder: this.#folder.path }, logger, {
      maxPayloadBytes: () => (this.#runningTask ? responses.maxPayloadBytes(this.#runningTask.task) : 0),
      onFrame: (frame) => this.#onFrame(frame),
      onBrokenChannel: (reason) => this.#onInvalidResponse(reason),
      onExit: (exitReason) => this.#onExit(exitReason),
    });
    const startMs = model ? maxModelStartMs : maxStartMs;
    this.#setTimer(() => this.#child?.kill(`did not start within ${startMs / 1000} s`), startMs);
  }

  /** Assigns a task to the idle child. */
  run(task: Task): TaskHandle {
    clearTimeout(this.#timer);
    this.#state = 'busy';
    const id = ++this.#lastTaskId;
    const timer = setTimeout(() => this.#onTimeout(task.kind), this.#options.timeoutMs).unref();
    const runningTask: RunningTask = { ...Promise.withResolvers<TaskResult>(), id, task, timer };
    this.#runningTask = runningTask;
    void this.#sendTask(runningTask);
    return {
      result: runningTask.promise,
      stop: (reason) => this.#runningTask === runningTask && this.#stop(reason),
    };
  }

  /** Marks the input folder as in use. */
  touchFolder(): void {
    this.#folder.touch();
  }

  /** Stops the running task if the child exceeds its memory limit. */
  checkMemory(): void {
    if (this.#runningTask === undefined || this.#runningTask.stopped) return;
    const usedMb = this.#memoryMb();
    if (usedMb <= this.#options.memoryMb) return;
    const message = `Decoding the image was stopped because it used ${Math.round(usedMb)} MB of memory; the limit is ${this.#options.memoryMb} MB.`;
    this.#stop(new AppError('decoder_crashed', message), 'memoryKills');
  }

  /** Kills the child. Resolves once it has exited. */
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
  async #sendTask(runningTask: RunningTask): Promise<void> {
    const isCurrent = () => this.#runningTask === runningTask && runningTask.stopped === undefined;
    try {
      const { task, removeInputs } = await this.#folder.place(runningTask.task);
      if (isCurrent()) this.#child?.send({ id: runningTask.id, task });
      await runningTask.promise.catch(() => undefined);
      removeInputs();
    } catch (error) {
      if (!isCurrent()) return;
      // The task was not sent, so the child is ready for the next task.
      this.#forgetTask(runningTask);
      runningTask.reject(toFileError(error) ?? error);
      this.#becomeIdle();
    }
  }

  #forgetTask(runningTask: RunningTask): void {
    clearTimeout(runningTask.timer);
    this.#runningTask = undefined;
  }

  /** Returns whether the child is being killed. Messages that it still sends are ignored. */
  #isKillingChild(): boolean {
    return killingStates.has(this.#state) || this.#runningTask?.stopped !== undefined;
  }

  #onFrame({ message: content, payload }: Frame): void {
    if (this.#isKillingChild()) return;
    try {
      const message = responses.parseChildMessage(content);
      if (message.type === 'ready') this.#onReady();
      else this.#onResponse(message, payload);
    } catch (error) {
      this.#onInvalidResponse(error instanceof Error ? error.message : String(error));
    }
  }

  #onReady(): void {
    if (this.#state !== 'starting')
      throw new responses.InvalidResponse('The child sent a second ready message.');
    this.#child?.preferForOomKill();
    this.#initialMemoryMb = this.#memoryMb();
    this.#becomeIdle();
  }

  #onResponse(message: Exclude<ChildMessage, { type: 'ready' }>, payload: Buffer): void {
    const runningTask = this.#runningTask;
    if (runningTask?.id !== message.id)
      throw new responses.InvalidResponse('The child sent a response without a request.');
    if (message.type === 'done')
      runningTask.resolve(responses.validateResult(runningTask.task, message.result, payload, this.#space()));
    else runningTask.reject(responses.logAndConvertFailure(message, this.#options.logger));
    this.#forgetTask(runningTask);
    this.#failedStarts = 0;
    this.#completedTaskCount++;
    if (this.#memoryMb() > this.#maxMemoryAfterTaskMb()) this.#kill('recycling');
    else this.#becomeIdle();
  }

  #space(): EmbeddingSpace {
    const { model } = this.#options;
    return model ? { name: model.space, dimension: model.dimension } : builtInSpace;
  }

  #maxMemoryAfterTaskMb(): number {
    return this.#options.model ? this.#initialMemoryMb + maxGrowthWithModelMb : maxMemoryAfterTaskMb;
  }

  /** Kills the child, because it may be controlled by a malicious picture. */
  #onInvalidResponse(problem: string): void {
    if (this.#isKillingChild()) return;
    const pid = this.#child?.pid();
    this.#options.logger.warn({ pid, problem }, 'A decoder child sent an invalid response; killing it');
    this.#options.counters.crashes++;
    if (this.#runningTask === undefined) this.#kill('down');
    else this.#stop(new AppError('decoder_crashed', 'The decoder sent an invalid response and was stopped.'));
  }

  #becomeIdle(): void {
    this.#state = 'idle';
    const recycleIfGrown = () => {
      const maxGrowthMb = this.#options.model ? maxGrowthWithModelMb : maxIdleGrowthMb;
      if (this.#memoryMb() > this.#initialMemoryMb + maxGrowthMb) this.#kill('recycling');
    };
    if (this.#options.isSpare) this.#setTimer(() => this.#kill('retiring'), spareIdleMs);
    else this.#setTimer(recycleIfGrown, idleCheckMs);
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

  /** Starts a new child after a pause. The pause grows with each failure, because the cause may be permanent. */
  #startLater(exitReason: string): void {
    const pauseMs = Math.min(100 * 2 ** this.#failedStarts++, maxRestartPauseMs);
    this.#options.logger.error(
      { exitReason, pauseMs },
      'a decoder child exited while it had no task; restarting it',
    );
    this.#setTimer(() => this.start(), pauseMs);
  }

  #rejectTask(exitReason: string): void {
    const runningTask = this.#runningTask;
    if (runningTask === undefined) return;
    this.#forgetTask(runningTask);
    if (runningTask.stopped === undefined) this.#options.counters.crashes++;
    const crashError = new AppError('decoder_crashed', `The decoder crashed on this image (${exitReason}).`);
    runningTask.reject(runningTask.stopped ? runningTask.stopped.reason : crashError);
  }

  #onTimeout(kind: TaskKind): void {
    const step = kind === 'probe' ? "Reading the image's header" : 'Decoding the image';
    const message = `${step} took longer than ${this.#options.timeoutMs / 1000} s and was stopped.`;
    this.#stop(new AppError('decoder_crashed', message), 'timeouts');
  }

  #stop(reason: unknown, counter?: keyof PoolCounters): void {
    if (this.#runningTask === undefined || this.#runningTask.stopped) return;
    if (counter !== undefined) this.#options.counters[counter]++;
    this.#runningTask.stopped = { reason };
    this.#child?.kill();
  }

  #setTimer(run: () => void, ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(run, ms).unref();
  }
}
