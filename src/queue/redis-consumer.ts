import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from '../model/logger.ts';
import { type RedisServerInfo, watchHandshake } from './redis-connection.ts';
import { withTimeout } from '../timeout.ts';
import { failureReason } from './queue.ts';

interface Dependencies {
  readonly client: Redis;
  readonly queueName: string;
  readonly server: RedisServerInfo;
  readonly poll: () => Promise<void>;
  readonly logger: Logger;
}

/** Receives the messages of a queue, one at a time. */
export interface RedisConsumer {
  close(): Promise<void>;
}

/** Pause after a failure, and between BullMQ's own retries. It is short, so that a restarted server is soon used again. */
const retryPauseMs = 1_000;
/** How long a blocking read waits for messages. It can delay a stop, and the detection of an unresponsive server. */
const blockSeconds = 1;
/** How long `close` waits for the message in progress. */
const closeTimeoutMs = 400;

/** Starts receiving messages, and calls `poll` for each. */
export function startRedisConsumer({ client, queueName, server, poll, logger }: Dependencies): RedisConsumer {
  const stopping = new AbortController();

  /**
   * Handles a message. BullMQ keeps receiving messages until it has closed: during a stop, they go back to the queue, for
   * another process.
   */
  async function handle(message: Job, token?: string): Promise<void> {
    if (!stopping.signal.aborted) return poll();
    await message.moveToWait(token);
    throw new WaitingError();
  }

  const worker = new Worker(queueName, handle, {
    connection: client,
    autorun: false,
    concurrency: 1,
    runRetryDelay: retryPauseMs,
    drainDelay: blockSeconds,
    // The check would print warnings to the console, and would fail if the server hides its version.
    skipVersionCheck: !server.hasVersion || server.warnings.length > 0,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  // Such errors are expected when Redis restarts or is flushed. `RedisConnection` logs the connection state.
  worker.on('error', (error) =>
    logger.debug({ reason: failureReason(error) }, 'failed to read a wake-up from Redis'),
  );

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await worker.run().catch(() => undefined);
      await sleep(retryPauseMs, undefined, stopping).catch(() => undefined);
    }
  }

  // BullMQ opens its own connection for blocking reads.
  const handshakeWatch = worker
    .getBackend()
    .blockingClient?.then(watchHandshake)
    .catch(() => undefined);
  void run();
  return {
    async close() {
      stopping.abort();
      void handshakeWatch?.then((stop) => stop?.());
      // A graceful close would wait for an unreachable server indefinitely.
      const isGraceful = client.status === 'ready';
      await withTimeout(worker.close(!isGraceful), closeTimeoutMs).catch(() => worker.disconnect());
    },
  };
}
