import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from '../model/logger.ts';
import { type RedisServerInfo, watchHandshake } from './redis-connection.ts';
import { withTimeout } from '../timeout.ts';
import { reasonOf } from './queue.ts';

interface Dependencies {
  readonly client: Redis;
  readonly queueName: string;
  readonly server: RedisServerInfo;
  readonly poll: () => Promise<void>;
  readonly logger: Logger;
}

/** Receives the messages of one queue, one at a time. */
export interface RedisConsumer {
  close(): Promise<void>;
}

/** Pause after a failure, also between BullMQ's own retries: a restarted server must be in use again soon. */
const retryPauseMs = 1_000;
/** How long one blocking read waits for messages. A stop or a silent server may cost this much time. */
const blockSeconds = 1;
/** How long `close` waits for the message in progress. */
const closeMs = 400;

/** Starts to receive messages and calls `poll` for each. */
export function startRedisConsumer({ client, queueName, server, poll, logger }: Dependencies): RedisConsumer {
  const stopping = new AbortController();

  /** BullMQ receives messages until it has closed: one that arrives during a stop goes back, for another process. */
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
    // BullMQ prints its own warnings to the console, and refuses to work if the server hides its version.
    skipVersionCheck: !server.hasVersion || server.warnings.length > 0,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  // Expected when Redis restarts or is flushed. `RedisConnection` logs the state of the connection.
  worker.on('error', (error) =>
    logger.debug({ reason: reasonOf(error) }, 'reading a wake-up from Redis failed'),
  );

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await worker.run().catch(() => undefined);
      await sleep(retryPauseMs, undefined, stopping).catch(() => undefined);
    }
  }

  // BullMQ opens its own connection for blocking reads.
  const watching = worker
    .getBackend()
    .blockingClient?.then(watchHandshake)
    .catch(() => undefined);
  void run();
  return {
    async close() {
      stopping.abort();
      void watching?.then((stop) => stop?.());
      // A graceful close would wait for an unreachable server without end.
      const isGraceful = client.status === 'ready';
      await withTimeout(worker.close(!isGraceful), closeMs).catch(() => worker.disconnect());
    },
  };
}
