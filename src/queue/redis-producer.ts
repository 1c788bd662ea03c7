import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { DueJob } from '../model/job.ts';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  readonly client: Redis;
  readonly queueName: string;
  /** Called when the server has accepted messages. */
  readonly onSent: () => void;
  /** Called when messages could not be sent. */
  readonly onFailed: (error: unknown) => void;
}

/** Sends messages to a queue. Drops them if Redis is unavailable, or if enough messages are already waiting. */
export interface RedisProducer {
  send(jobs: readonly DueJob[], delayMs: number): void;
  /** Waits for a limited time for messages that are being sent. */
  finish(): Promise<void>;
}

/** Maximum number of messages in a batch. More would not help, because a woken worker continues until no job is due. */
const maxBatch = 100;
/** Sending pauses if Redis contains more messages than this. That many messages are enough to wake every process. */
const maxWaitingMessages = 1_000;
/** How long sending pauses if more than `maxWaitingMessages` messages are waiting. */
const fullPauseMs = 1_000;
/** Timeout for sending a batch. */
const sendTimeoutMs = 250;

/** Creates a producer for one queue. */
export function makeRedisProducer({ client, queueName, onSent, onFailed }: Dependencies): RedisProducer {
  // BullMQ's version check is skipped, because `RedisConnection` has already checked the version, and because wake-ups
  // can also be sent to an old server.
  const queue = new Queue(queueName, {
    connection: client,
    skipVersionCheck: true,
    defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
  });
  // `RedisConnection` logs the connection state.
  queue.on('error', () => undefined);
  let unsentMessages: Message[] = [];
  let pendingSend: Promise<void> | undefined;
  let pausedUntil = 0;

  async function deliver(batch: Message[]): Promise<void> {
    try {
      await queue.addBulk(batch);
      onSent();
      if ((await queue.count()) > maxWaitingMessages) pausedUntil = performance.now() + fullPauseMs;
    } catch (error) {
      onFailed(error);
    }
  }

  async function send(): Promise<void> {
    while (unsentMessages.length > 0) {
      const batch = unsentMessages;
      unsentMessages = [];
      await withTimeout(deliver(batch), sendTimeoutMs).catch(() => undefined);
    }
  }

  return {
    send(jobs, delayMs) {
      if (client.status !== 'ready' || performance.now() < pausedUntil) return;
      const acceptedJobs = jobs.slice(0, maxBatch - unsentMessages.length);
      unsentMessages.push(...acceptedJobs.map((job) => toMessage(job, delayMs)));
      pendingSend ??= send().finally(() => (pendingSend = undefined));
    },
    finish: async () => pendingSend,
  };
}

type Message = ReturnType<typeof toMessage>;

/** Creates a message without an id. With an id, BullMQ might drop the message when the same job becomes due again. */
function toMessage({ id, kind }: DueJob, delayMs: number) {
  return { name: kind, data: { id }, opts: { delay: Math.max(0, Math.round(delayMs)) } };
}
