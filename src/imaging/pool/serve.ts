import { Socket } from 'node:net';
import { AppError } from '../../errors.ts';
import { channelFd, makeFrameReader, writeFrame } from './channel.ts';
import { namedFileError } from './file-errors.ts';
import type { Handlers } from './handlers.ts';
import {
  type ChildMessage,
  type FailureMessage,
  maxSentence,
  type Order,
  type Outcome,
  type ReportableCode,
  reportableCodes,
  type TaskMessage,
  type WorkKind,
} from './messages.ts';
import { packResult } from './pack-result.ts';

interface Answer {
  readonly message: ChildMessage;
  readonly payload?: readonly Uint8Array[];
}

/** Serves the parent's tasks in a decoder child until the parent ends it or goes away. */
export function serve(handlers: Handlers): void {
  dropAddons();
  // A Ctrl-C reaches the whole process group; the parent drains its work and then ends its children itself.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const channel = new Socket({ fd: channelFd, readable: true, writable: true });
  const send = ({ message, payload }: Answer) => writeFrame(channel, message, payload);
  const readChunk = makeFrameReader({
    maxPayloadBytes: () => 0,
    onFrame: ({ message }) => void perform(handlers, message as TaskMessage).then(send),
  });
  channel.on('data', readChunk);
  channel.on('error', () => undefined);
  channel.on('close', endAtOnce);
  send({ message: { type: 'ready' } });
}

/** Already loaded native code stays; JavaScript can load no more. Node added the call in about 24.14. */
function dropAddons(): void {
  const permission = process.permission as { drop?: (scope: string) => void } | undefined;
  permission?.drop?.('addon');
}

function endAtOnce(): void {
  // Not exit() first: it waits for native threads, and one of them may hang.
  process.kill(process.pid, 'SIGKILL');
  // Reached only by the first process of a PID namespace, which the kernel protects from its own signals.
  process.exit(1);
}

async function perform(handlers: Handlers, { id, order }: TaskMessage): Promise<Answer> {
  try {
    const { result, payload } = packResult(order.kind, await carryOut(handlers, order));
    return { message: { type: 'done', id, result }, payload };
  } catch (error) {
    return { message: { type: 'failed', id, ...describeFailure(error) } };
  }
}

function carryOut<Kind extends WorkKind>(handlers: Handlers, order: Order<Kind>): Promise<Outcome<Kind>> {
  return handlers[order.kind](order.request);
}

function describeFailure(error: unknown): Pick<FailureMessage, 'code' | 'message' | 'cause'> {
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (error instanceof AppError && isReportable(error.code)) {
    const named = { code: error.code, message: asSentence(error.message) };
    // The image library's message is for the log.
    return error.cause instanceof Error ? { ...named, cause: error.cause.message } : named;
  }
  const named = namedFileError(error);
  if (named !== undefined) return { code: 'storage_failed', message: named.message, cause };
  return { code: 'internal_error', message: 'The decoder failed; the log has the details.', cause };
}

function isReportable(code: string): code is ReportableCode {
  return (reportableCodes as readonly string[]).includes(code);
}

/** A message may quote bytes of the file; the parent accepts only printable text of limited length. */
function asSentence(message: string): string {
  return message.replaceAll(/\p{Cc}+/gu, ' ').slice(0, maxSentence);
}
