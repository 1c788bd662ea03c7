import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from '../model/logger.ts';
import { type RedisTraits, watchGreeting } from './redis-client.ts';
import { withTimeout } from '../timeout.ts';
import { reasonOf } from './reason.ts';

interface Dependencies {
  readonly client: Redis;
  readonly queueName: string;
  readonly traits: RedisTraits;
  readonly look: () => Promise<void>;
  readonly logger: Logger;
}

/** Takes messages of one queue, one after the other. */
export interface RedisConsumer {
  close(): Promise<void>;
}

/** Pause after a failure, also of BullMQ's own tries: a server that is back must not wait for long. */
const pauseMs = 1_000;
/** How long one question for messages waits for an answer: what a stop or a silent server may cost. */
const waitSeconds = 1;
/** A stop waits this long for the end of the message in hand. */
const goodbyeMs = 400;

/** @see RedisConsumer */
export function startRedisConsumer({ client, queueName, traits, look, logger }: Dependencies): RedisConsumer {
  const stopping = new AbortController();

  /** BullMQ waits for messages until it has closed: what comes to one that stops is for those who still listen. */
  async function take(message: Job, token?: string): Promise<void> {
    if (!stopping.signal.aborted) return look();
    await message.moveToWait(token);
    throw new WaitingError();
  }

  const worker = new Worker(queueName, take, {
    connection: client,
    autorun: false,
    concurrency: 1,
    runRetryDelay: pauseMs,
    drainDelay: waitSeconds,
    // BullMQ writes its own warnings past the log, and refuses to work when the server does not tell what it is.
    skipVersionCheck: !traits.isKnown || traits.warnings.length > 0,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  // Expected when Redis restarts or is emptied; the client tells of its connection itself.
  worker.on('error', (error) => logger.debug({ reason: reasonOf(error) }, 'a wake-up by Redis failed'));

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await worker.run().catch(() => undefined);
      await sleep(pauseMs, undefined, stopping).catch(() => undefined);
    }
  }

  // The connection on which it waits for messages is BullMQ's own.
  const watching = worker
    .getBackend()
    .blockingClient?.then(watchGreeting)
    .catch(() => undefined);
  void run();
  return {
    async close() {
      stopping.abort();
      void watching?.then((stop) => stop?.());
      // Gently, BullMQ waits for a server that is away, without end.
      const isGentle = client.status === 'ready';
      await withTimeout(worker.close(!isGentle), goodbyeMs).catch(() => worker.disconnect());
    },
  };
}
