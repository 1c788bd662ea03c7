import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../model/logger.ts';
import { channelFd, type Frame, makeFrameReader, writeFrame } from './channel.ts';
import { childCommand, type ChildCommandOptions } from './child-command.ts';
import type { TaskMessage } from './messages.ts';

/** A running decoder child, seen from the parent. */
export interface DecoderChild {
  /** The process that decodes, which may be a descendant of a launcher. */
  pid(): number | undefined;
  send(message: TaskMessage): void;
  /** Kills the child immediately; `onExit` follows. */
  kill(): void;
  /** Resident memory of the process that decodes, in MB (2^20 bytes). 0 if unknown: it is read from Linux's /proc. */
  memoryMb(): number;
  /** Makes the Linux kernel kill the child first if memory runs out, not the server or its database. */
  offerToOomKiller(): void;
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

const maxErrorOutput = 4000;
const maxLoggedOutput = 300;

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
  let hasExited = false;
  const exited = (how: string) => {
    if (!hasExited) events.onExit(how);
    hasExited = true;
  };
  child.on('exit', (code, signal) => exited(signal ?? `exit code ${code}`));
  child.on('error', (error) => {
    logger.warn({ err: error, pid: child.pid }, 'A decoder child failed');
    if (child.pid === undefined) exited('it could not be started');
  });
  // With a launcher that keeps running, the child is the first process of a chain, and the decoder is the last.
  const processChain = () =>
    child.pid === undefined ? [] : [child.pid, ...(hasLauncher ? descendantsOf(child.pid) : [])];
  return {
    pid: () => processChain().at(-1),
    send: (message) => channel && writeFrame(channel, message),
    kill: () => {
      for (const pid of processChain().slice(1)) killIfRunning(pid);
      child.kill('SIGKILL');
    },
    memoryMb: () => residentMemoryMb(processChain().at(-1)),
    offerToOomKiller: () => processChain().forEach(offerToOomKiller),
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

/**
 * Returns the descendants of `pid`, each followed by its own, from Linux's /proc. Empty on other systems and on kernels
 * without CONFIG_PROC_CHILDREN.
 */
function descendantsOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
    return children.map(Number).flatMap((child) => [child, ...descendantsOf(child)]);
  } catch {
    return [];
  }
}

// Linux reports pages. They have 4 KiB except on some ARM kernels, where the result is too low, never too high.
const pageBytes = 4096;

function residentMemoryMb(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    return Number.isFinite(pages) ? (pages * pageBytes) / 2 ** 20 : 0;
  } catch {
    return 0;
  }
}

function killIfRunning(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has already exited.
  }
}

function offerToOomKiller(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
  } catch {
    // Other systems do not have the file, and a launcher may have changed its owner.
  }
}

function logErrorOutput(stream: NodeJS.ReadableStream | null, pid: number | undefined, logger: Logger): void {
  if (stream === null) return;
  if (stream instanceof Socket) stream.unref();
  let budget = maxErrorOutput;
  stream.on('data', (chunk: Buffer) => {
    const output = chunk.toString('utf8').slice(0, budget).trim();
    budget = Math.max(0, budget - chunk.length);
    if (output === '') return;
    // Also in the message: human-readable logs show no other fields, and a launcher reports its errors here.
    const excerpt = output.replaceAll(/\p{Cc}+/gu, ' ').slice(0, maxLoggedOutput);
    logger.warn({ pid, output }, `A decoder child wrote to its error output: ${excerpt}`);
  });
}
