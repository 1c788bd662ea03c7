import { Duplex } from 'node:stream';

/** Executes messages of the PostgreSQL protocol, and returns the database's messages. */
export type ExecuteMessages = (messages: Uint8Array) => Promise<Uint8Array>;

/**
 * The embedded database as a socket for `pg`. PGlite has an adapter of its own, which calls the database for every single
 * message. A prepared statement has four, and `pg` writes them at once, so this takes less CPU time.
 */
export class EmbeddedStream extends Duplex {
  readonly #execute: ExecuteMessages;
  readonly #prepare: () => Promise<void>;

  /** @param prepare called when the connection is opened; it is open when the promise is settled. */
  constructor(execute: ExecuteMessages, prepare: () => Promise<void>) {
    super({ allowHalfOpen: false });
    this.#execute = execute;
    this.#prepare = prepare;
  }

  /** Part of a socket. Emits `connect` when `prepare` is settled, or `error`. */
  connect(): this {
    this.#prepare().then(
      () => this.emit('connect'),
      (error: unknown) => this.destroy(toError(error)),
    );
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

  #send(messages: Buffer, callback: (error?: Error) => void): void {
    // oxlint-disable-next-line promise/no-callback-in-promise -- Node calls it in any case, and it does not throw
    void this.#answer(messages).then(callback);
  }

  /** Pushes the answer. Returns the error if there is none. */
  async #answer(messages: Buffer): Promise<Error | undefined> {
    try {
      const answer = await this.#execute(messages);
      if (answer.length > 0) this.push(answer);
      return undefined;
    } catch (error) {
      return toError(error);
    }
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
