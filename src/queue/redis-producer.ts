import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { DueJob } from '../model/job.ts';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  readonly client: Redis;
  readonly queueName: string;
  /** A message arrived. */
  readonly onSent: () => void;
  /** The server answered, and did not take a message. */
  readonly onRefused: (error: unknown) => void;
}

/** Sends messages of one queue, as many as are of use. */
export interface RedisProducer {
  send(jobs: readonly DueJob[], delayMs: number): void;
  /** Resolves when what is on its way has arrived, or soon. */
  finish(): Promise<void>;
}

/** Further jobs of the same moment need no message of their own: a worker that is awake goes on until nothing is due. */
const maxConcurrent = 100;
/** With so many messages waiting, every process has enough to wake up for. */
const maxWaiting = 1_000;
const crowdedMs = 1_000;
/** A message that takes longer is not waited for. */
const sendMs = 250;

/** @see RedisProducer */
export function makeRedisProducer({ client, queueName, onSent, onRefused }: Dependencies): RedisProducer {
  // The version has been looked at before, and an old one is no reason to wake nobody up.
  const queue = new Queue(queueName, {
    connection: client,
    skipVersionCheck: true,
    defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
  });
  // The client tells of its connection itself.
  queue.on('error', () => undefined);
  let waiting: Message[] = [];
  let sending: Promise<void> | undefined;
  let crowdedUntil = 0;

  async function deliver(batch: Message[]): Promise<void> {
    try {
      await queue.addBulk(batch);
      onSent();
      if ((await queue.count()) > maxWaiting) crowdedUntil = performance.now() + crowdedMs;
    } catch (error) {
      onRefused(error);
    }
  }

  async function send(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await withTimeout(deliver(batch), sendMs).catch(() => undefined);
    }
  }

  return {
    send(jobs, delayMs) {
      if (client.status !== 'ready' || performance.now() < crowdedUntil) return;
      waiting.push(...jobs.slice(0, maxConcurrent - waiting.length).map((job) => messageOf(job, delayMs)));
      sending ??= send().finally(() => (sending = undefined));
    },
    finish: async () => sending,
  };
}

type Message = ReturnType<typeof messageOf>;

/** Without an id of ours: BullMQ drops a message whose id it has already, and a job may be due again and again. */
function messageOf({ id, kind }: DueJob, delayMs: number) {
  return { name: kind, data: { id }, opts: { delay: Math.max(0, Math.round(delayMs)) } };
}
