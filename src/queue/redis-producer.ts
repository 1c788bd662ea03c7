import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { DueJob } from '../model/job.ts';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  readonly client: Redis;
  readonly queueName: string;
  /** Called when the server has accepted messages. */
  readonly onSent: () => void;
  /** Called when the server has refused messages. */
  readonly onRefused: (error: unknown) => void;
}

/** Sends messages to one queue, but no more than are useful. */
export interface RedisProducer {
  send(jobs: readonly DueJob[], delayMs: number): void;
  /** Waits for messages being sent, for a limited time. */
  finish(): Promise<void>;
}

/** Maximum number of messages in a batch. Further jobs need none: a worker that is awake continues until nothing is due. */
const maxBatch = 100;
/** Maximum number of messages waiting in Redis: enough to wake every process. */
const maxWaiting = 1_000;
/** How long to send nothing once there are more. */
const fullPauseMs = 1_000;
/** Deadline for sending a batch. */
const sendMs = 250;

/** Creates a producer. */
export function makeRedisProducer({ client, queueName, onSent, onRefused }: Dependencies): RedisProducer {
  // `RedisConnection` has checked the version. Wake-ups are sent to an old server too.
  const queue = new Queue(queueName, {
    connection: client,
    skipVersionCheck: true,
    defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
  });
  // `RedisConnection` logs the state of the connection.
  queue.on('error', () => undefined);
  let unsent: Message[] = [];
  let sending: Promise<void> | undefined;
  let fullUntil = 0;

  async function deliver(batch: Message[]): Promise<void> {
    try {
      await queue.addBulk(batch);
      onSent();
      if ((await queue.count()) > maxWaiting) fullUntil = performance.now() + fullPauseMs;
    } catch (error) {
      onRefused(error);
    }
  }

  async function send(): Promise<void> {
    while (unsent.length > 0) {
      const batch = unsent;
      unsent = [];
      await withTimeout(deliver(batch), sendMs).catch(() => undefined);
    }
  }

  return {
    send(jobs, delayMs) {
      if (client.status !== 'ready' || performance.now() < fullUntil) return;
      unsent.push(...jobs.slice(0, maxBatch - unsent.length).map((job) => messageOf(job, delayMs)));
      sending ??= send().finally(() => (sending = undefined));
    },
    finish: async () => sending,
  };
}

type Message = ReturnType<typeof messageOf>;

/** Sets no message id: BullMQ drops a message whose id it already has, and the same job may be due repeatedly. */
function messageOf({ id, kind }: DueJob, delayMs: number) {
  return { name: kind, data: { id }, opts: { delay: Math.max(0, Math.round(delayMs)) } };
}
