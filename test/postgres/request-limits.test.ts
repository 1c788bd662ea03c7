import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { makeDatabaseCounts } from '../../src/db/request-counts.ts';
import { makeRequestLimiter } from '../../src/services/limits/request-limiter.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import {
  openServerDatabase,
  openTestServerDatabase,
  serverDatabaseUrl,
} from '../support/inner/server-database.ts';
import { call } from '../support/process/client.ts';
import { startServer } from '../support/process/server.ts';
import { services } from '../support/services.ts';

const limit = 3_000;

test('four processes exceed a limit by at most the requests between two exchanges', async () => {
  const { name } = await openTestServerDatabase();
  // All of them must be in the same window for the whole test.
  const now = Date.now();
  const runProcess = async (): Promise<{ accepted: number; mostBetweenExchanges: number }> => {
    const database = await openServerDatabase(name);
    onTestFinished(() => database.close());
    const counts = makeDatabaseCounts(database);
    const limiter = makeRequestLimiter({
      counts: { ...counts, add: async (requests) => ({ ...(await counts.add(requests)), now }) },
      limits: { key: limit, address: 0, 'invalid-keys': 0 },
      logger: makeRecordingLogger(),
      now: () => now,
    });
    onTestFinished(() => limiter.stop());
    let accepted = 0;
    let mostBetweenExchanges = 0;
    for (let round = 0; round < 40; round += 1) {
      const before = accepted;
      const exchange = limiter.exchange();
      for (let request = 0; request < 50 + 50 * Math.random(); request += 1)
        if (limiter.take('key', 'robot')?.isExceeded === false) accepted += 1;
      await exchange;
      await sleep(10 * Math.random());
      mostBetweenExchanges = Math.max(mostBetweenExchanges, accepted - before);
    }
    return { accepted, mostBetweenExchanges };
  };
  const results = await Promise.all(Array.from({ length: 4 }, runProcess));
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  const accepted = sum(results.map((result) => result.accepted));
  // A request may be counted just after its exchange began, and a hundredth of the limit need not be shared.
  const overshoot = sum(results.map(({ mostBetweenExchanges }) => 2 * mostBetweenExchanges + limit / 100));
  expect(accepted).toBeGreaterThanOrEqual(limit);
  expect(accepted).toBeLessThanOrEqual(limit + overshoot);
  // Without an exchange, the processes would have accepted far more.
  expect(limit + overshoot).toBeLessThan(4 * limit);
});

const sharedThrough = [
  { name: 'the database', redisUrl: '', isAvailable: true },
  { name: 'Redis', redisUrl: services.redisUrl ?? '', isAvailable: services.redisUrl !== undefined },
];

test.each(sharedThrough.filter(({ isAvailable }) => isAvailable))(
  'two servers share their counts through $name',
  async ({ redisUrl }) => {
    const { name } = await openTestServerDatabase();
    const env = {
      DATABASE_URL: serverDatabaseUrl(name),
      REDIS_URL: redisUrl,
      QUEUE_NAME: name,
      STORAGE_PATH: await makeTestFolder(),
      REQUESTS_PER_ADDRESS: '10',
      ENABLE_WORKER: 'false',
    };
    const [one, other] = [await startServer(env), await startServer(env)];
    // All requests must be in the same minute.
    await expect.poll(() => new Date().getSeconds(), { interval: 200, timeout: 40_000 }).toBeLessThan(30);
    const send = ({ url }: { url: string }, address: string) =>
      call(`${url}/v1/images`, { headers: { 'x-forwarded-for': address } });
    for (let request = 0; request < 10; request += 1)
      expect((await send(one, '203.0.113.9')).status).toBe(200);
    expect((await send(one, '203.0.113.9')).status).toBe(429);
    const statuses: number[] = [];
    await expect
      .poll(
        async () => {
          statuses.push((await send(other, '203.0.113.9')).status);
          return statuses.at(-1);
        },
        { interval: 250 },
      )
      .toBe(429);
    expect(statuses.length).toBeLessThanOrEqual(10);
    expect((await send(other, '203.0.113.10')).status).toBe(200);
  },
);
