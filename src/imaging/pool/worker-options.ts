import type { Logger } from '../../model/logger.ts';
import type { ChildCommandOptions } from './child-command.ts';

/** Settings of a worker. */
export interface DecoderWorkerOptions extends Pick<ChildCommandOptions, 'launcher' | 'model'> {
  /** Module that the child runs. */
  readonly childModule: string;
  /** Folder in which the workers' input folders are created. */
  readonly workDirectory: string;
  /** Maximum wall-clock time of a task. */
  readonly timeoutMs: number;
  /** Maximum resident memory of a busy child, in MB. */
  readonly memoryMb: number;
  /** Number of tasks after which the worker is worn. */
  readonly maxTasksPerChild: number;
  /** Whether the child is killed after it has been idle for some time. Calling `start` later starts a new child. */
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
