import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished } from 'vitest';
import { makeRedisQueue } from '../../src/queue/redis.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import { services } from '../support/services.ts';
import { describeQueue } from './queue-contract.ts';

const url = services.redisUrl ?? '';

/** Removes the keys of one queue. Other tests use the same server. */
async function removeQueueKeys(name: string): Promise<void> {
  const client = new Redis(url);
  const keys = await client.keys(`bull:${name}-*`);
  if (keys.length > 0) await client.del(...keys);
  client.disconnect();
}

describe.skipIf(!services.redisUrl)('Redis queue', () => {
  describeQueue('redis', {
    async open(count) {
      const name = `vitrine-test-${randomUUID()}`;
      onTestFinished(() => removeQueueKeys(name));
      const makeQueue = () => makeRedisQueue({ url, name, logger: makeRecordingLogger() });
      const queues = Array.from({ length: count }, makeQueue);
      for (const queue of queues) await expect.poll(() => queue.outageReason()).toBeUndefined();
      return queues;
    },
    isShared: true,
  });
});
