import { Duplex } from 'node:stream';

/** Executes messages of the PostgreSQL protocol, and returns the database's messages. */
export type ExecuteMessages = (messages: Uint8Array) => Uint8Array;

/**
 * The embedded database as a socket for `pg`. PGlite has an adapter of its own, which calls the database for every single
 * message. A prepared statement has four, and `pg` writes them at once, so this takes less CPU time.
 */
export class EmbeddedStream extends Duplex {
  readonly #execute: ExecuteMessages;

  constructor(execute: ExecuteMessages) {
    super({ allowHalfOpen: false });
    this.#execute = execute;
  }

  /** Part of a socket. The database is in this process, so there is nothing to connect to. */
  connect(): this {
    process.nextTick(() => this.emit('connect'));
    return this;
  }

  /** Part of a socket. */
  setNoDelay(): this {
    return this;
  }

  /** Part of a socket. */
  ref(): this {
    return this;
  }

  /** Part of a socket. */
  unref(): this {
    return this;
  }

  override _read(): void {
    // Answers are pushed when they arrive. There is at most one, because `pg` waits for it before it sends the next statement.
  }

  override _write(messages: Buffer, _encoding: string, callback: (error?: Error) => void): void {
    this.#send(messages, callback);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], callback: (error?: Error) => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), callback);
  }

  override _final(callback: () => void): void {
    this.push(null);
    callback();
  }

  /** Executes the messages a little later, because a socket never answers while it is written to. */
  #send(messages: Buffer, callback: (error?: Error) => void): void {
    process.nextTick(() => {
      try {
        const answer = this.#execute(messages);
        callback();
        if (answer.length > 0) this.push(answer);
      } catch (error) {
        callback(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }
}
