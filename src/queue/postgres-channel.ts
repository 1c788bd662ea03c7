import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  readonly connection: ClientConfig;
  readonly channel: string;
  /** Time between heartbeats. The server must respond within half of this time. */
  readonly heartbeatMs: number;
  /** Called with each message from another process. */
  readonly onMessage: (message: string) => void;
  /** Called whenever the channel has connected. Messages that were sent earlier may have been missed. */
  readonly onUp: () => void;
  /** Called whenever a connection attempt fails or the connection is lost. */
  readonly onDown: (error: unknown) => void;
}

/** A LISTEN/NOTIFY channel with its own connection, which is re-established whenever it is lost. */
export interface PostgresChannel {
  isUp(): boolean;
  /** Sends messages to the other processes. Rejects while the channel is not connected. */
  send(messages: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Pause before the second connection attempt. It doubles with each attempt, up to `maxPauseMs`. */
const minPauseMs = 250;
const maxPauseMs = 2_000;
/** Timeout for a connection attempt. After a server restart, the channel reconnects within this time plus one pause. */
const connectTimeoutMs = 3_000;
/** How long `close` waits for the connection to end. */
const closeTimeoutMs = 250;

/** Opens a channel and keeps it connected. */
export function openPostgresChannel({ connection, channel, ...deps }: Dependencies): PostgresChannel {
  const { heartbeatMs, onMessage, onUp, onDown } = deps;
  const abortController = new AbortController();
  let socket: Socket | undefined;
  let connectedClient: Client | undefined;
  let pauseMs = minPauseMs;
  let lastQuery: Promise<unknown> = Promise.resolve();

  function makeClient(stream: Socket): Client {
    return new Client({
      application_name: 'vitrine queue',
      ...connection,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      // `keepConnected` and `close` destroy this socket, because closing the client may hang.
      stream: () => stream,
    });
  }

  async function connect(client: Client): Promise<void> {
    await client.connect();
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    client.on('notification', ({ processId, payload }) => {
      // PostgreSQL also delivers messages to the process that sent them.
      if (processId !== rows[0]?.pid && payload !== undefined) onMessage(payload);
    });
    await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  }

  /** Sends heartbeats, which are the only way to detect a server that vanished without closing the connection. */
  async function sendHeartbeats(client: Client): Promise<never> {
    for (;;) {
      await sleep(heartbeatMs, undefined, { ref: false });
      await withTimeout(query(client, 'SELECT 1'), heartbeatMs / 2);
    }
  }

  /** Runs queries one at a time, because the client must not start a query while another one is running. */
  function query(client: Client, text: string, values?: unknown[]): Promise<unknown> {
    lastQuery = lastQuery.catch(() => undefined).then(() => client.query(text, values));
    return lastQuery;
  }

  /** Connects, and sends heartbeats until the connection is lost. Always rejects with the reason. */
  async function connectUntilLost(stream: Socket): Promise<never> {
    const client = makeClient(stream);
    const connectionLoss = new Promise<never>((_resolve, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('the connection was closed')));
    });
    await Promise.race([withTimeout(connect(client), connectTimeoutMs), connectionLoss]);
    connectedClient = client;
    lastQuery = Promise.resolve();
    pauseMs = minPauseMs;
    onUp();
    return Promise.race([sendHeartbeats(client), connectionLoss]);
  }

  async function keepConnected(): Promise<void> {
    while (!abortController.signal.aborted) {
      socket = new Socket();
      await connectUntilLost(socket).catch(
        (error: unknown) => abortController.signal.aborted || onDown(error),
      );
      connectedClient = undefined;
      socket.destroy();
      await sleep(pauseMs, undefined, { signal: abortController.signal }).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, maxPauseMs);
    }
  }

  const connectionLoop = keepConnected();
  return {
    isUp: () => connectedClient !== undefined,
    async send(messages) {
      if (!connectedClient) throw new Error('The channel is not connected.');
      await query(connectedClient, 'SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message', [
        channel,
        messages,
      ]);
    },
    async close() {
      abortController.abort();
      await withTimeout(connectedClient?.end() ?? Promise.resolve(), closeTimeoutMs).catch(() => undefined);
      socket?.destroy();
      await connectionLoop;
    },
  };
}
