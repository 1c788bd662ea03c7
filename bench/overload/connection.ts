import { connect, type Socket } from 'node:net';

/** A response, as far as a benchmark needs it. */
export interface Answer {
  readonly status: number;
  /** Whether the connection can be used for another request. */
  readonly isReusable: boolean;
}

/** A connection that sends one request at a time. It does less work per request than an HTTP client. */
export class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #pending: PromiseWithResolvers<Answer> | undefined;
  #isClosed = false;

  constructor(url: URL) {
    this.#socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#isClosed = true;
      this.#pending?.reject(new Error('The connection was closed before the response.'));
      this.#pending = undefined;
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends a request, given as its parts. @throws if the connection is closed before the response. */
  send(parts: readonly Buffer[]): Promise<Answer> {
    this.#pending = Promise.withResolvers<Answer>();
    const { promise } = this.#pending;
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
    return promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Parses a response with `Content-Length`, which every response to the benchmarks has. */
  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#received.toString('latin1', 0, headEnd);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#received.length < headEnd + 4 + length) return;
    this.#received = this.#received.subarray(headEnd + 4 + length);
    const isReusable = !/\r\nconnection: *close/i.test(head);
    if (!isReusable) this.#isClosed = true;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.resolve({ status: Number(head.slice(9, 12)), isReusable });
    if (!isReusable) this.close();
  }
}
