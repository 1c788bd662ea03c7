import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { AppError } from '../../errors.ts';
import { probe } from '../probe.ts';
import { comparePictures } from '../quality/compare-pictures.ts';
import { tryPresets } from '../quality/try-presets.ts';
import { describePicture } from '../recognition/describe-picture.ts';
import type { EmbedPixels } from '../recognition/embedding/embedding.ts';
import { type EncodedPair, matchRenditions } from '../recognition/pixel-match/match-renditions.ts';
import { relatePictures } from '../recognition/relate-pictures.ts';
import { deriveRenditions, type RenderedPicture, renderVariants } from '../renditions/derive-renditions.ts';
import { channelFd, makeFrameReader, writeFrame } from './channel.ts';
import { toFileError } from './file-errors.ts';
import {
  type ChildMessage,
  type FailureMessage,
  maxErrorLength,
  type RenditionPair,
  type ReportableCode,
  reportableCodes,
  type Task,
  type TaskKind,
  type TaskMessage,
  type TaskResult,
  type TaskTypes,
} from './messages.ts';

// This module runs in a decoder child. It must not import the schema library with which the parent validates results,
// because a child starts faster without it.

/** One function for each kind of task. */
export type Handlers = {
  readonly [Kind in TaskKind]: (request: TaskTypes[Kind]['request']) => Promise<TaskResult<Kind>>;
};

/**
 * Creates the task handlers that a child uses. They read whole files, because only the library's in-memory loaders are
 * enabled.
 * @param embed computes embeddings; default: the built-in ones
 */
export const makeHandlers = (embed?: EmbedPixels): Handlers => ({
  probe: async ({ path, limits }) => probe(readFileSync(path), limits),
  derive: async ({ path, limits, variants, focalPoint = null }) =>
    deriveRenditions(readFileSync(path), limits, variants, focalPoint, embed),
  render: async ({ path, limits, variants, focalPoint = null }) =>
    renderVariants(readFileSync(path), limits, variants, focalPoint),
  describe: async ({ path, limits }) => describePicture(readFileSync(path), limits, embed),
  compare: async ({ path, limits, others }) =>
    comparePictures(
      readFileSync(path),
      limits,
      others.map((other) => ({ name: other.name, bytes: readFileSync(other.path) })),
    ),
  tryPresets: async ({ path, limits, presets }) => tryPresets(readFileSync(path), limits, presets),
  relate: async ({ path, limits, others }) => ({
    relations: await relatePictures(readFileSync(path), limits, readEach(others)),
  }),
  matchRenditions: async ({ pairs }) => matchRenditions(readPairs(pairs)),
});

/** The task handlers of a child with the built-in embedding. */
export const handlers: Handlers = makeHandlers();

/** Reads each file only when it is needed, so that only one is in memory at a time. */
function* readEach(files: readonly { readonly path: string }[]): Generator<Uint8Array> {
  for (const { path } of files) yield readFileSync(path);
}

/** Reads each pair only when it is needed, so that only one pair is in memory at a time. */
function* readPairs(pairs: readonly RenditionPair[]): Generator<EncodedPair> {
  for (const { path, storedPath, ...pair } of pairs) {
    yield { ...pair, newBytes: readFileSync(path), storedBytes: readFileSync(storedPath) };
  }
}

interface Response {
  readonly message: ChildMessage;
  readonly payload?: readonly Uint8Array[];
}

/** Performs the parent's tasks until the parent kills the child or exits. */
export function serve(implementation: Handlers): void {
  dropAddonPermission();
  // Ctrl-C sends a signal to both the parent and its children. The children ignore it, because the parent finishes its
  // work before it kills them.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const channel = new Socket({ fd: channelFd, readable: true, writable: true });
  const send = ({ message, payload }: Response) => writeFrame(channel, message, payload);
  const readChunk = makeFrameReader({
    maxPayloadBytes: () => 0,
    onFrame: ({ message }) => void performTask(implementation, message as TaskMessage).then(send),
  });
  channel.on('data', readChunk);
  channel.on('error', () => undefined);
  channel.on('close', exitImmediately);
  send({ message: { type: 'ready' } });
}

/**
 * Prevents further native code from being loaded. Code that is already loaded still works. Has no effect in Node
 * versions without `process.permission.drop`.
 */
function dropAddonPermission(): void {
  const permission = process.permission as { drop?: (scope: string) => void } | undefined;
  permission?.drop?.('addon');
}

function exitImmediately(): void {
  // exit() alone would wait for native threads, which may hang.
  process.kill(process.pid, 'SIGKILL');
  // This line is reached only in the first process of a PID namespace, which cannot kill itself with a signal.
  process.exit(1);
}

async function performTask(implementation: Handlers, { id, task }: TaskMessage): Promise<Response> {
  try {
    const { result, payload } = packResult(task.kind, await runHandler(implementation, task));
    return { message: { type: 'done', id, result }, payload };
  } catch (error) {
    return { message: { type: 'failed', id, ...describeFailure(error) } };
  }
}

function runHandler<Kind extends TaskKind>(
  implementation: Handlers,
  task: Task<Kind>,
): Promise<TaskResult<Kind>> {
  return implementation[task.kind](task.request);
}

/** Splits a result into JSON and the bytes of all renditions. */
function packResult(
  kind: TaskKind,
  result: TaskResult,
): { readonly result: object; readonly payload: readonly Uint8Array[] } {
  if (kind !== 'derive' && kind !== 'render') return { result, payload: [] };
  const { renditions, ...description } = result as RenderedPicture;
  const metadata = renditions.map(({ preset, format, density, width, height, data }) => {
    return { preset: preset.name, format, density, width, height, bytes: data.length };
  });
  return { result: { ...description, renditions: metadata }, payload: renditions.map(({ data }) => data) };
}

function describeFailure(error: unknown): Pick<FailureMessage, 'code' | 'message' | 'cause'> {
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (error instanceof AppError && isReportable(error.code)) {
    const failure = { code: error.code, message: toPrintable(error.message) };
    // The image library's message is only for the log.
    return error.cause instanceof Error ? { ...failure, cause: error.cause.message } : failure;
  }
  const fileError = toFileError(error);
  if (fileError !== undefined) return { code: 'storage_failed', message: fileError.message, cause };
  return { code: 'internal_error', message: 'The decoder failed; see the log for details.', cause };
}

function isReportable(code: string): code is ReportableCode {
  return (reportableCodes as readonly string[]).includes(code);
}

/** Makes a message short and printable, as the parent requires. The message may quote bytes from the file. */
function toPrintable(message: string): string {
  return message.replaceAll(/\p{Cc}+/gu, ' ').slice(0, maxErrorLength);
}
