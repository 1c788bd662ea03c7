import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../model/logger.ts';
import { channelFd, type Frame, makeFrameReader, writeFrame } from './channel.ts';
import { childCommand, type ChildCommandOptions } from './child-command.ts';
import { descendantsOf } from './descendants.ts';
import type { TaskMessage } from './messages.ts';

/** A running decoder child, seen from the parent. */
export interface DecoderChild {
  /** The process that decodes, which may be a descendant of a launcher. */
  pid(): number | undefined;
  send(task: TaskMessage): void;
  /** Ends the child at once; `onExit` follows. */
  kill(): void;
  /** On Linux, makes the kernel kill the child first when memory runs out, not the server or its database. */
  offerToMemoryKiller(): void;
}

/** Events of a child. `onExit` is called exactly once, even if the child could not be started. */
export interface DecoderChildEvents {
  /** Maximum payload that the child may currently send. */
  readonly maxPayloadBytes: () => number;
  /** The frame has not been validated. */
  readonly onFrame: (frame: Frame) => void;
  /** The channel contains invalid data; no further frame follows. */
  onBrokenChannel(reason: string): void;
  /** `how` is the signal or the exit code, for a sentence. */
  onExit(how: string): void;
}

const longestErrorOutput = 4000;
const longestErrorSentence = 300;

/** Starts a decoder child. It never keeps the parent process alive. */
export function spawnDecoderChild(
  options: ChildCommandOptions,
  logger: Logger,
  events: DecoderChildEvents,
): DecoderChild {
  const { command, args, env } = childCommand(options);
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'pipe', 'pipe'], windowsHide: true });
  const hasLauncher = options.launcher.length > 0;
  child.unref();
  logErrorOutput(child.stderr, child.pid, logger);
  const channel = child.stdio[channelFd] as Duplex | null | undefined;
  if (channel) readChannel(channel, events);
  let ended = false;
  const end = (how: string) => {
    if (!ended) events.onExit(how);
    ended = true;
  };
  child.on('exit', (code, signal) => end(signal ?? `exit code ${code}`));
  child.on('error', (error) => {
    logger.warn({ err: error, pid: child.pid }, 'A decoder child had an error');
    if (child.pid === undefined) end('it could not be started');
  });
  // A launcher that keeps running is the first process of a chain, and the decoder is the last.
  const line = () =>
    child.pid === undefined ? [] : [child.pid, ...(hasLauncher ? descendantsOf(child.pid) : [])];
  return {
    pid: () => line().at(-1),
    send: (task) => channel && writeFrame(channel, task),
    kill: () => {
      for (const pid of line().slice(1)) killIfThere(pid);
      child.kill('SIGKILL');
    },
    offerToMemoryKiller: () => line().forEach(offerToMemoryKiller),
  };
}

function readChannel(channel: Duplex, events: DecoderChildEvents): void {
  if (channel instanceof Socket) channel.unref();
  const readChunk = makeFrameReader(events);
  channel.on('data', (chunk: Buffer) => {
    try {
      readChunk(chunk);
    } catch (error) {
      channel.destroy();
      events.onBrokenChannel(error instanceof Error ? error.message : String(error));
    }
  });
  // The end of a child is reported by 'exit', not by a failed write.
  channel.on('error', () => undefined);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has exited by itself.
  }
}

function offerToMemoryKiller(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
  } catch {
    // The file does not exist on other systems, and a launcher may have changed the owner.
  }
}

function logErrorOutput(stream: NodeJS.ReadableStream | null, pid: number | undefined, logger: Logger): void {
  if (stream === null) return;
  if (stream instanceof Socket) stream.unref();
  let budget = longestErrorOutput;
  stream.on('data', (chunk: Buffer) => {
    const output = chunk.toString('utf8').slice(0, budget).trim();
    budget = Math.max(0, budget - chunk.length);
    if (output === '') return;
    // Also in the message: human-readable logs show no other fields, and a launcher reports its errors here.
    const words = output.replaceAll(/\p{Cc}+/gu, ' ').slice(0, longestErrorSentence);
    logger.warn({ pid, output }, `A decoder child wrote to its error output: ${words}`);
  });
}
