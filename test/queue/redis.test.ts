import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { makeRedisQueue } from '../../src/queue/redis.ts';
import { keepingLogger } from '../support/inner/logger.ts';
import { services } from '../support/services.ts';
import { describeQueue } from './queue-contract.ts';

if (services.redisUrl) {
  const url = services.redisUrl;
  describeQueue('redis', {
    async open(count) {
      const name = `vitrine-test-${randomUUID()}`;
      const queues = Array.from({ length: count }, () =>
        makeRedisQueue({ url, name, logger: keepingLogger() }),
      );
      for (const queue of queues) await expect.poll(() => queue.trouble()).toBeUndefined();
      return queues;
    },
    isShared: true,
  });
}
