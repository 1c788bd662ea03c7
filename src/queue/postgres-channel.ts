import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  readonly connection: ClientConfig;
  readonly channel: string;
  /** How often the server is asked whether it is still there; half of it may pass until it answers. */
  readonly heartbeatMs: number;
  /** Another process sent this. */
  readonly onMessage: (message: string) => void;
  /** From now on messages come, and those of before may have been missed. */
  readonly onUp: () => void;
  /** Told of each failure to connect or to stay connected. */
  readonly onDown: (error: unknown) => void;
}

/** A channel of LISTEN and NOTIFY on a connection of its own, which is made anew for ever. */
export interface PostgresChannel {
  isUp(): boolean;
  /** Sends to the other processes. Fails while the channel is down. */
  send(messages: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const firstPauseMs = 250;
const longestPauseMs = 2_000;
/** A server that comes back is used within this time and one pause. */
const connectMs = 3_000;
const goodbyeMs = 250;

/** @see PostgresChannel */
export function openPostgresChannel({ connection, channel, ...deps }: Dependencies): PostgresChannel {
  const { heartbeatMs, onMessage, onUp, onDown } = deps;
  const stopping = new AbortController();
  let socket: Socket | undefined;
  let up: Client | undefined;
  let pauseMs = firstPauseMs;
  let lastAnswer: Promise<unknown> = Promise.resolve();

  function makeClient(stream: Socket): Client {
    return new Client({
      application_name: 'vitrine queue',
      ...connection,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      // A socket of ours can be destroyed in every state of the connection; the client itself may wait for ever.
      stream: () => stream,
    });
  }

  async function connect(client: Client): Promise<void> {
    await client.connect();
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    client.on('notification', ({ processId, payload }) => {
      // What this process sent comes back, too.
      if (processId !== rows[0]?.pid && payload !== undefined) onMessage(payload);
    });
    await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  }

  /** A connection whose other end has gone without a word is noticed by this only. */
  async function beat(client: Client): Promise<never> {
    for (;;) {
      await sleep(heartbeatMs, undefined, { ref: false });
      await withTimeout(ask(client, 'SELECT 1'), heartbeatMs / 2);
    }
  }

  /** One statement after the other: the client takes no second one while it waits for an answer. */
  function ask(client: Client, text: string, values?: unknown[]): Promise<unknown> {
    lastAnswer = lastAnswer.catch(() => undefined).then(() => client.query(text, values));
    return lastAnswer;
  }

  /** Fails when the connection does. */
  async function live(stream: Socket): Promise<never> {
    const client = makeClient(stream);
    const lost = new Promise<never>((_resolve, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('the connection ended')));
    });
    await Promise.race([withTimeout(connect(client), connectMs), lost]);
    up = client;
    lastAnswer = Promise.resolve();
    pauseMs = firstPauseMs;
    onUp();
    return Promise.race([beat(client), lost]);
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      socket = new Socket();
      await live(socket).catch((error: unknown) => stopping.signal.aborted || onDown(error));
      up = undefined;
      socket.destroy();
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
    }
  }

  const running = run();
  return {
    isUp: () => up !== undefined,
    async send(messages) {
      if (!up) throw new Error('the channel is down');
      await ask(up, 'SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message', [channel, messages]);
    },
    async close() {
      stopping.abort();
      await withTimeout(up?.end() ?? Promise.resolve(), goodbyeMs).catch(() => undefined);
      socket?.destroy();
      await running;
    },
  };
}
