import { fork } from 'node:child_process';
import { Socket } from 'node:net';
import type { ChildMessage, TaskMessage } from './messages.ts';
import type { Logger } from '../../model/logger.ts';

/** A running decoder child, seen from the parent. */
export interface DecoderChild {
  readonly pid: number | undefined;
  send(task: TaskMessage): void;
  /** Ends the child at once; `onExit` follows. */
  kill(): void;
}

/** What a child tells. `onExit` comes exactly once, also when the child could not be started. */
export interface DecoderChildEvents {
  onMessage(message: ChildMessage): void;
  /** `how` is the signal or the exit code, for a sentence. */
  onExit(how: string): void;
}

// Nothing of the parent's environment: it holds passwords, and a child decodes what strangers send.
const childEnvironment = {
  LANG: 'C.UTF-8',
  // glibc's arena for each thread keeps freed picture buffers from the system.
  MALLOC_ARENA_MAX: '2',
  // Buffers of a usual picture are used again for the next one instead of being mapped and cleared anew each time
  // (measured: a tenth of the time); a child that holds on to too much is replaced.
  MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(64 * 2 ** 20),
  UV_THREADPOOL_SIZE: '4',
  VIPS_BLOCK_UNTRUSTED: '1',
  // Large pictures stay in memory, under the watchdog's eye, instead of temporary files that a kill leaves behind.
  VIPS_DISC_THRESHOLD: '16g',
};

// Pictures lie outside of JavaScript's heap, which therefore stays small. Its young half has room for what describing a
// picture leaves behind: with 4 MB the collector runs twice as often (measured: 2 ms for each picture).
const childFlags = ['--max-old-space-size=128', '--max-semi-space-size=16'];

const longestErrorOutput = 4000;

/** Starts `module` as a decoder child. It never keeps the parent process alive. */
export function spawnDecoderChild(module: string, logger: Logger, events: DecoderChildEvents): DecoderChild {
  const child = fork(module, [], {
    env: childEnvironment,
    execArgv: childFlags,
    serialization: 'json',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  child.unref();
  child.channel?.unref();
  logErrorOutput(child.stderr, child.pid, logger);
  let ended = false;
  const end = (how: string) => {
    if (!ended) events.onExit(how);
    ended = true;
  };
  child.on('message', (message) => events.onMessage(message as ChildMessage));
  child.on('exit', (code, signal) => end(signal ?? `exit code ${code}`));
  child.on('error', (error) => {
    logger.warn({ err: error, pid: child.pid }, 'A decoder child had an error');
    if (child.pid === undefined) end('it could not be started');
  });
  return {
    pid: child.pid,
    // A child that died meanwhile is told of by 'exit', not by this callback.
    send: (task) => void child.send(task, () => undefined),
    kill: () => void child.kill('SIGKILL'),
  };
}

function logErrorOutput(stream: NodeJS.ReadableStream | null, pid: number | undefined, logger: Logger): void {
  if (stream === null) return;
  if (stream instanceof Socket) stream.unref();
  let budget = longestErrorOutput;
  stream.on('data', (chunk: Buffer) => {
    const output = chunk.toString('utf8').slice(0, budget).trim();
    budget = Math.max(0, budget - chunk.length);
    if (output !== '') logger.warn({ pid, output }, 'A decoder child wrote to its error output');
  });
}
