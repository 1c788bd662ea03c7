import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { RequestCounts } from '../../src/model/request-counts.ts';
import { makeRedisCounts } from '../../src/queue/redis-counts.ts';
import { describeRequestCounts } from '../services/limits/request-counts-contract.ts';
import { services } from '../support/services.ts';

const url = services.redisUrl ?? '';
const prefix = `vitrine-test-${randomUUID()}`;

/** Opens counts and waits for their connection. */
async function openCounts(): Promise<RequestCounts> {
  const counts = makeRedisCounts({ url, prefix });
  onTestFinished(() => counts.close());
  await expect
    .poll(() =>
      counts.add([]).then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  return counts;
}

describe.skipIf(!services.redisUrl)('counts in Redis', () => {
  afterAll(async () => {
    const client = new Redis(url);
    const keys = await client.keys(`${prefix}:*`);
    if (keys.length > 0) await client.del(...keys);
    client.disconnect();
  });

  describeRequestCounts(openCounts);

  test('expire', async () => {
    const counts = await openCounts();
    await counts.add([{ bucket: 'key expiring', window: 7, requests: 1 }]);
    const client = new Redis(url);
    onTestFinished(() => client.disconnect());
    const seconds = await client.ttl(`${prefix}:requests:7:key expiring`);
    expect(seconds).toBeGreaterThan(60);
    expect(seconds).toBeLessThanOrEqual(180);
  });
});

test('counts in Redis fail immediately, and without secrets, while Redis is unavailable', async () => {
  const counts = makeRedisCounts({ url: 'redis://:password@127.0.0.1:1/0', prefix });
  onTestFinished(() => counts.close());
  const startedAt = performance.now();
  const failure = await counts.add([{ bucket: 'key 1', window: 7, requests: 1 }]).catch(String);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  expect(failure).not.toContain('password');
  expect(failure).toMatch(/^Error/);
});
