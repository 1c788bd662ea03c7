import type { Redis } from 'ioredis';
import { type DueJob, type JobKind, jobKinds } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from './queue.ts';
import { openRedisClient } from './redis-client.ts';
import { type RedisConsumer, startRedisConsumer } from './redis-consumer.ts';
import { openRedisLink, type RedisLink } from './redis-link.ts';
import { makeRedisProducer } from './redis-producer.ts';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  /** With its password: goes into no log and no sentence. */
  readonly url: string;
  /** Begins the names of the queues in Redis: each kind of job has its own. */
  readonly name: string;
  readonly logger: Logger;
}

type NameOf = (kind: JobKind) => string;

/** In all, a stop waits no longer for Redis than this. */
const closeMs = 800;

/** The queue of several processes by BullMQ: each message goes to one process, and that one has a free place. */
export function makeRedisQueue({ url, name, logger }: Dependencies): WorkQueue {
  // BullMQ takes no colon in a name.
  const nameOf: NameOf = (kind) => `${name.replaceAll(':', '-')}-${kind}`;
  const link = openRedisLink(url, logger);
  const producers = openProducers(link, nameOf);
  const consumers = openConsumers(link, url, nameOf, logger);
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    await withTimeout(Promise.all([producers.finish(), consumers.close()]), closeMs).catch(() => undefined);
    link.close();
    consumers.disconnect();
  }

  return {
    kind: 'redis',
    wake(jobs, delayMs = 0) {
      if (!closing) producers.send(jobs, delayMs);
    },
    onWake: (kind, look) => (closing ? () => undefined : consumers.add(kind, look)),
    trouble: link.trouble,
    close: () => (closing ??= close()),
  };
}

/** A producer for each kind, once Redis was reached. */
function openProducers({ client, reached, worked, refused }: RedisLink, nameOf: NameOf) {
  const make = (kind: JobKind) =>
    makeRedisProducer({ client, queueName: nameOf(kind), onSent: worked, onRefused: refused });
  let producers: ReadonlyMap<JobKind, ReturnType<typeof make>> = new Map();
  void reached.then(() => (producers = new Map(jobKinds.map((kind) => [kind, make(kind)]))));
  return {
    send(jobs: readonly DueJob[], delayMs: number): void {
      for (const [kind, producer] of producers) {
        const ofKind = jobs.filter((job) => job.kind === kind);
        if (ofKind.length > 0) producer.send(ofKind, delayMs);
      }
    },
    finish: () => Promise.all([...producers.values()].map((producer) => producer.finish())),
  };
}

/** A consumer for each listener, once Redis was reached. They share one connection; on a second one each waits. */
function openConsumers({ reached }: RedisLink, url: string, nameOf: NameOf, logger: Logger) {
  const stops = new Set<() => void>();
  const stopping = new Set<Promise<void>>();
  let client: Redis | undefined;

  function open(): Redis {
    const opened = openRedisClient(url, { maxRetriesPerRequest: null });
    // The link tells of the server; it is the same one.
    return opened.on('error', () => undefined);
  }

  function add(kind: JobKind, look: () => Promise<void>): () => void {
    let consumer: RedisConsumer | undefined;
    void reached.then((traits) => {
      if (!stops.has(stop)) return;
      client ??= open();
      consumer = startRedisConsumer({ client, queueName: nameOf(kind), traits, look, logger });
    });
    function stop(): void {
      if (stops.delete(stop) && consumer) stopping.add(consumer.close());
    }
    stops.add(stop);
    return stop;
  }

  return {
    add,
    async close(): Promise<void> {
      for (const stop of stops) stop();
      await Promise.all(stopping);
    },
    disconnect: () => client?.disconnect(),
  };
}
