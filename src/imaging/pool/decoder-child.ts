import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { getPriority, setPriority } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../model/logger.ts';
import { channelFd, type Frame, makeFrameReader, writeFrame } from './channel.ts';
import { childCommand, type ChildCommandOptions } from './child-command.ts';
import type { TaskMessage } from './messages.ts';

/** A running decoder child, as seen from the parent. */
export interface DecoderChild {
  /** Returns the ID of the process that decodes, which may be a descendant of a launcher. */
  pid(): number | undefined;
  send(message: TaskMessage): void;
  /** Kills the child immediately. `onExit` is called once it has exited, with `reason` if there is one. */
  kill(reason?: string): void;
  /**
   * Returns the resident memory of the process that decodes, in MB (2^20 bytes); 0 on systems without Linux's /proc.
   */
  memoryMb(): number;
  /** Makes the Linux kernel kill the child instead of the server or its database if memory runs out. */
  preferForOomKill(): void;
}

/** Events of a child. `onExit` is called exactly once, even if the child could not be started. */
export interface DecoderChildEvents {
  /** Maximum payload that the child may currently send. */
  readonly maxPayloadBytes: () => number;
  /** Called for each frame. The frame has not been validated. */
  readonly onFrame: (frame: Frame) => void;
  /** Called if the child has sent invalid data. No further frame follows. */
  onBrokenChannel(reason: string): void;
  /** `exitReason` is a signal, an exit code, or a clause that explains why the child was killed or could not be started. */
  onExit(exitReason: string): void;
}

const maxStderrLength = 4000;
const maxExcerptLength = 300;

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
  lowerPriority(child.pid);
  logStderr(child.stderr, child.pid, logger);
  const channel = child.stdio[channelFd] as Duplex | null | undefined;
  if (channel) readFrames(channel, events);
  let hasExited = false;
  let killReason: string | undefined;
  const reportExit = (exitReason: string) => {
    if (!hasExited) events.onExit(exitReason);
    hasExited = true;
  };
  child.on('exit', (code, signal) => reportExit(killReason ?? signal ?? `exit code ${code}`));
  child.on('error', (error) => {
    logger.warn({ err: error, pid: child.pid }, 'A decoder child failed');
    if (child.pid === undefined) reportExit('it could not be started');
  });
  // With a launcher that keeps running, the child is the first process of a chain, and the decoder is the last.
  const listProcessChain = () =>
    child.pid === undefined ? [] : [child.pid, ...(hasLauncher ? findDescendants(child.pid) : [])];
  return {
    pid: () => listProcessChain().at(-1),
    send: (message) => channel && writeFrame(channel, message),
    kill: (reason) => {
      killReason ??= reason;
      for (const pid of listProcessChain().slice(1)) killIfRunning(pid);
      child.kill('SIGKILL');
    },
    memoryMb: () => residentMemoryMb(listProcessChain().at(-1)),
    preferForOomKill: () => listProcessChain().forEach(preferForOomKill),
  };
}

function readFrames(channel: Duplex, events: DecoderChildEvents): void {
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
  // Write errors are ignored, because a child's exit is reported by its 'exit' event.
  channel.on('error', () => undefined);
}

/**
 * Returns the descendants of `pid` from Linux's /proc, each followed by its own descendants. Returns an empty array
 * on other systems and on kernels without CONFIG_PROC_CHILDREN.
 */
function findDescendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
    return children.map(Number).flatMap((child) => [child, ...findDescendants(child)]);
  } catch {
    return [];
  }
}

// Linux reports memory in pages. On ARM kernels with larger pages, the result is too low.
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

function preferForOomKill(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
  } catch {
    // The file does not exist on other systems. With a launcher, it may belong to a different user.
  }
}

function logStderr(stream: NodeJS.ReadableStream | null, pid: number | undefined, logger: Logger): void {
  if (stream === null) return;
  if (stream instanceof Socket) stream.unref();
  let remainingLength = maxStderrLength;
  stream.on('data', (chunk: Buffer) => {
    const output = chunk.toString('utf8').slice(0, remainingLength).trim();
    remainingLength = Math.max(0, remainingLength - chunk.length);
    if (output === '') return;
    // The message quotes the output, because human-readable logs omit other fields, and launchers report their errors
    // on stderr.
    const excerpt = output.replaceAll(/\p{Cc}+/gu, ' ').slice(0, maxExcerptLength);
    logger.warn({ pid, output }, `A decoder child wrote to stderr: ${excerpt}`);
  });
}

/**
 * By how much the niceness of decoder children exceeds that of the server: a third of its share of a busy core. With 10, it would
 * be a tenth, and other programs on the machine could keep the children from starting in time.
 */
const addedNiceness = 5;
const maxNiceness = 19;

/**
 * Lets the server's own process use the processor before its decoders. Otherwise, health checks and refusals wait behind
 * pictures while the decoders keep all cores busy.
 */
function lowerPriority(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, Math.min(getPriority() + addedNiceness, maxNiceness));
  } catch {
    // The child has already exited, or a sandbox does not allow it. It then keeps the usual priority.
  }
}
