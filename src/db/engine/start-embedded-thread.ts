import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { markReady, prepareDirectory } from './embedded-directory.ts';
import type { ThreadMessage, ThreadRequest } from './embedded-thread.ts';

/** The thread that runs the embedded database. */
export interface EmbeddedThread {
  /** Resolves if the thread ends although it was not closed. The database then executes nothing any more. */
  readonly ended: Promise<Error>;
  /** Discards what the last connection left behind. */
  readonly beginSession: () => Promise<void>;
  /**
   * Executes messages of the PostgreSQL protocol, and returns the database's messages. Rejects if the thread has ended. Answers come
   * in the order of the calls.
   */
  readonly execute: (messages: Uint8Array) => Promise<Uint8Array>;
  /** Closes the database and ends the thread. */
  readonly close: () => Promise<void>;
}

const script = new URL(`./embedded-thread${extname(import.meta.url)}`, import.meta.url);

/**
 * Starts the thread, which opens the database in `directory`, or creates it. A rejection counts as handled, so the caller can do
 * something else before it waits.
 */
export function beginOpening(directory: string): Promise<EmbeddedThread> {
  const thread = openInThread(directory);
  thread.catch(() => undefined);
  return thread;
}

async function openInThread(directory: string): Promise<EmbeddedThread> {
  await prepareDirectory(directory);
  const thread = await startThread(directory);
  await markReady(directory);
  return thread;
}

async function startThread(directory: string): Promise<EmbeddedThread> {
  // The thread needs no settings, so it does not get the environment, which contains secrets.
  const thread = new Worker(script, {
    workerData: directory,
    env: {},
    name: 'database',
    // It produces little garbage. With V8's default, its young generation would grow to 48 MB.
    resourceLimits: { maxYoungGenerationSizeMb: 8 },
  });
  await opened(thread);
  const pending: PromiseWithResolvers<Uint8Array>[] = [];
  let end: Error | undefined;
  let isClosing = false;
  const unexpectedEnd = Promise.withResolvers<Error>();

  thread.on('message', (answer: ThreadMessage) => {
    const request = pending.shift();
    if (pending.length === 0 && !isClosing) thread.unref();
    if ('answer' in answer) request?.resolve(answer.answer);
    else
      request?.reject(
        'error' in answer ? answer.error : new Error('The embedded database was opened twice.'),
      );
  });
  thread.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
  thread.on('exit', () => fail(new Error('The thread of the embedded database has ended.')));
  thread.unref();

  function fail(error: Error): void {
    end ??= error;
    for (const request of pending.splice(0)) request.reject(end);
    if (!isClosing) unexpectedEnd.resolve(end);
    isClosing = true;
  }

  function send(request: ThreadRequest): Promise<Uint8Array> {
    if (end) return Promise.reject(end);
    const answer = Promise.withResolvers<Uint8Array>();
    pending.push(answer);
    post(request);
    return answer.promise;
  }

  function post(request: ThreadRequest): void {
    // The process must not exit before the answer has come. Without a request, the thread does not keep the process running.
    thread.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    thread.postMessage(request);
  }

  return {
    ended: unexpectedEnd.promise,
    async beginSession() {
      await send({ beginSession: true });
    },
    // Copied, because `messages` is usually part of a larger buffer, all of which would be sent.
    execute: (messages) => send({ messages: new Uint8Array(messages) }),
    async close() {
      if (isClosing) return;
      isClosing = true;
      post({ close: true });
      await once(thread, 'exit');
    },
  };
}

/** Settles when the thread has opened the database; rejects if it ends before. */
async function opened(thread: Worker): Promise<void> {
  const opening = Promise.withResolvers<void>();
  const fail = () => opening.reject(new Error('The thread of the embedded database ended while it started.'));
  thread
    .once('message', () => opening.resolve())
    .once('error', opening.reject)
    .once('exit', fail);
  await opening.promise;
}
