import { enableCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

/**
 * The thread that runs the embedded database, so that the thread that serves does not wait for queries, and both can use a core of
 * their own. Opens the database in the directory `workerData`, executes requests in the order of their arrival, and
 * answers each of them once.
 */

/** Sent to the thread of the embedded database. Each request except `close` is answered. */
export type ThreadRequest =
  /** Messages of the PostgreSQL protocol to execute. */
  | { readonly messages: Uint8Array }
  /** Discard what the last connection left behind. The answer is empty. */
  | { readonly beginSession: true }
  | { readonly close: true };

/** Sent by the thread of the embedded database: that it is open, or the answer to a request. */
export type ThreadMessage =
  | { readonly isOpen: true }
  /** The database's messages. They may report an SQL error. */
  | { readonly answer: Uint8Array<ArrayBuffer> }
  /** The database could not execute the request at all. */
  | { readonly error: unknown };

/**
 * PostgreSQL's page cache. PGlite's default of 128 MB makes opening the database 100 ms slower and takes 100 MB of memory at once. The
 * files that do not fit are in the operating system's cache.
 */
const sharedBuffers = '32MB';

// Threads do not share the cache of the program's main thread.
enableCompileCache();
const port = parentPort;
if (!port) throw new Error('embedded-thread.ts runs in a worker thread only.');
const send = (message: ThreadMessage) => {
  port.postMessage(message, 'answer' in message ? [message.answer.buffer] : []);
};

const { PGlite, protocol } = await import('@electric-sql/pglite');
const { vector } = await import('@electric-sql/pglite-pgvector');
const pglite = await PGlite.create({
  dataDir: String(workerData),
  extensions: { vector },
  startParams: [...PGlite.defaultStartParams, '-c', `shared_buffers=${sharedBuffers}`],
});

port.on('message', (request: ThreadRequest) => {
  if ('close' in request) {
    void close();
    return;
  }
  try {
    send({ answer: 'messages' in request ? execute(request.messages) : beginSession() });
  } catch (error) {
    send({ error });
  }
});
send({ isOpen: true });

/** Returns a copy of the answer, because the answer may be part of a larger buffer that PGlite uses again. */
function execute(messages: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(pglite.execProtocolRawSync(messages));
}

/**
 * Discards what the last connection left behind: an open transaction, and statements that it prepared. The session of PGlite
 * outlives the connections of the pool, which replaces a connection after some errors.
 */
function beginSession(): Uint8Array<ArrayBuffer> {
  for (const statement of ['ROLLBACK', 'DISCARD ALL'])
    pglite.execProtocolRawSync(protocol.serialize.query(statement));
  return new Uint8Array();
}

/** Closes the database. The thread then ends, because nothing can arrive any more. */
async function close(): Promise<void> {
  await pglite.close();
  port?.close();
}
