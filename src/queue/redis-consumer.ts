import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from '../model/logger.ts';
import { type RedisServerInfo, watchHandshake } from './redis-connection.ts';
import { withTimeout } from '../timeout.ts';
import { getFailureReason } from './queue.ts';

interface Dependencies {
  readonly client: Redis;
  readonly queueName: string;
  readonly serverInfo: RedisServerInfo;
  readonly poll: () => Promise<void>;
  readonly logger: Logger;
}

/** Receives a queue's messages, one at a time. */
export interface RedisConsumer {
  close(): Promise<void>;
}

/** Pause after a failure, and between BullMQ's own retries. It is short, so that the consumer soon reconnects. */
const retryPauseMs = 1_000;
/** How long a blocking read waits for messages. This wait can delay shutdown and the detection of an unresponsive server. */
const blockSeconds = 1;
/** How long `close` waits for the message in progress. */
const closeTimeoutMs = 400;

/** Starts receiving messages, and calls `poll` for each message. */
export function startRedisConsumer({
  client,
  queueName,
  serverInfo,
  poll,
  logger,
}: Dependencies): RedisConsumer {
  const abortController = new AbortController();

  /**
   * Handles a message. BullMQ receives messages until it is closed. Messages that arrive during shutdown are returned to
   * the queue for another process.
   */
  async function handle(message: Job, token?: string): Promise<void> {
    if (!abortController.signal.aborted) return poll();
    await message.moveToWait(token);
    throw new WaitingError();
  }

  const worker = new Worker(queueName, handle, {
    connection: client,
    autorun: false,
    concurrency: 1,
    runRetryDelay: retryPauseMs,
    drainDelay: blockSeconds,
    // BullMQ's version check would print warnings to the console, and would fail if the server does not report its version.
    skipVersionCheck: !serverInfo.reportsVersion || serverInfo.warnings.length > 0,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  // Errors are expected when Redis restarts or is flushed. `RedisConnection` logs the connection state.
  worker.on('error', (error) =>
    logger.debug({ reason: getFailureReason(error) }, 'failed to read a wake-up from Redis'),
  );

  async function run(): Promise<void> {
    while (!abortController.signal.aborted) {
      await worker.run().catch(() => undefined);
      await sleep(retryPauseMs, undefined, abortController).catch(() => undefined);
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
      abortController.abort();
      void handshakeWatch?.then((stop) => stop?.());
      // A graceful close would wait indefinitely for an unreachable server.
      const isGraceful = client.status === 'ready';
      await withTimeout(worker.close(!isGraceful), closeTimeoutMs).catch(() => worker.disconnect());
    },
  };
}
