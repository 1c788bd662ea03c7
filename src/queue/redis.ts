import type { Redis } from 'ioredis';
import { type DueJob, type JobKind, jobKinds } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from './queue.ts';
import { openRedisClient, openRedisConnection, type RedisConnection } from './redis-connection.ts';
import { type RedisConsumer, startRedisConsumer } from './redis-consumer.ts';
import { makeRedisProducer } from './redis-producer.ts';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  /** May contain a password, so it must not appear in logs or messages. */
  readonly url: string;
  /** Prefix of the queue names in Redis. Each job kind has its own queue. */
  readonly name: string;
  readonly logger: Logger;
}

/** Returns the name of the queue for a job kind. */
type QueueNameFor = (kind: JobKind) => string;

/** How long `close` waits for Redis in total. */
const closeTimeoutMs = 800;

/** Creates a queue for several processes, using BullMQ on Redis. Each message is sent to one process with free capacity. */
export function makeRedisQueue({ url, name, logger }: Dependencies): WorkQueue {
  // BullMQ does not allow colons in queue names.
  const queueNameFor: QueueNameFor = (kind) => `${name.replaceAll(':', '-')}-${kind}`;
  const connection = openRedisConnection(url, logger);
  const producers = openProducers(connection, queueNameFor);
  const consumers = openConsumers(connection, url, queueNameFor, logger);
  let closePromise: Promise<void> | undefined;

  async function close(): Promise<void> {
    await withTimeout(Promise.all([producers.finish(), consumers.close()]), closeTimeoutMs).catch(
      () => undefined,
    );
    connection.close();
    consumers.disconnect();
  }

  return {
    kind: 'redis',
    wake(jobs, delayMs = 0) {
      if (!closePromise) producers.send(jobs, delayMs);
    },
    onWake: (kind, poll) => (closePromise ? () => undefined : consumers.add(kind, poll)),
    outageReason: connection.outageReason,
    close: () => (closePromise ??= close()),
  };
}

/** Creates a producer for each job kind as soon as Redis has been reached. */
function openProducers(
  { client, serverInfo, onSuccess, onFailure }: RedisConnection,
  queueNameFor: QueueNameFor,
) {
  const makeProducer = (kind: JobKind) =>
    makeRedisProducer({ client, queueName: queueNameFor(kind), onSent: onSuccess, onFailed: onFailure });
  let producers: ReadonlyMap<JobKind, ReturnType<typeof makeProducer>> = new Map();
  void serverInfo.then(() => (producers = new Map(jobKinds.map((kind) => [kind, makeProducer(kind)]))));
  return {
    send(jobs: readonly DueJob[], delayMs: number): void {
      for (const [kind, producer] of producers) {
        const jobsOfKind = jobs.filter((job) => job.kind === kind);
        if (jobsOfKind.length > 0) producer.send(jobsOfKind, delayMs);
      }
    },
    finish: () => Promise.all([...producers.values()].map((producer) => producer.finish())),
  };
}

/**
 * Starts a consumer for each listener as soon as Redis has been reached. All consumers share one connection, and each has a
 * second connection of its own for blocking reads.
 */
function openConsumers(
  { serverInfo: serverInfoPromise }: RedisConnection,
  url: string,
  queueNameFor: QueueNameFor,
  logger: Logger,
) {
  const stopFunctions = new Set<() => void>();
  const pendingCloses = new Set<Promise<void>>();
  let client: Redis | undefined;

  function openClient(): Redis {
    // Errors are ignored, because `RedisConnection` logs the server's state.
    return openRedisClient(url, { maxRetriesPerRequest: null }).on('error', () => undefined);
  }

  function add(kind: JobKind, poll: () => Promise<void>): () => void {
    let consumer: RedisConsumer | undefined;
    void serverInfoPromise.then((serverInfo) => {
      if (!stopFunctions.has(stop)) return;
      client ??= openClient();
      consumer = startRedisConsumer({ client, queueName: queueNameFor(kind), serverInfo, poll, logger });
    });
    function stop(): void {
      if (stopFunctions.delete(stop) && consumer) pendingCloses.add(consumer.close());
    }
    stopFunctions.add(stop);
    return stop;
  }

  return {
    add,
    async close(): Promise<void> {
      for (const stop of stopFunctions) stop();
      await Promise.all(pendingCloses);
    },
    disconnect: () => client?.disconnect(),
  };
}
