import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeRedisQueue } from '../../src/queue/redis.ts';
import { keepingLogger } from '../support/inner/logger.ts';
import { hasRedisServer, type PrivateRedis, privateRedis } from '../support/inner/redis-server.ts';
import { startTcpProxy } from '../support/inner/tcp-proxy.ts';
import { due, listen } from './queue-contract.ts';
import { timeScale } from '../support/time-scale.ts';

const closer = fileURLToPath(new URL('./fixtures/close-queue.ts', import.meta.url));
const back = { interval: 20 };

function openQueue(url: string) {
  const logger = keepingLogger();
  const queue = makeRedisQueue({ url, name: 'vitrine-test', logger });
  onTestFinished(() => queue.close());
  return { queue, logger };
}

/** A queue on a running Redis, with a listener that has been woken once. */
async function begin(redis: PrivateRedis) {
  await redis.start();
  const opened = openQueue(redis.url);
  const heard = listen(opened.queue);
  await expectWoken(opened.queue, heard);
  return { ...opened, heard };
}

async function expectWoken(queue: ReturnType<typeof makeRedisQueue>, heard: { looks: number }) {
  await expect.poll(() => queue.outageReason(), back).toBeUndefined();
  const before = heard.looks;
  await expect
    .poll(
      () => {
        queue.wake(due());
        return heard.looks;
      },
      { interval: 100 },
    )
    .toBeGreaterThan(before);
}

const linesOf = (port: number) => ({
  // Followed by the reason in parentheses.
  away: expect.stringContaining(
    `Redis at 127.0.0.1:${port} is unavailable, reconnecting; no jobs are lost: workers poll every second (`,
  ) as string,
  back: `Redis at 127.0.0.1:${port} is available again`,
});

describe.skipIf(!hasRedisServer())('Redis outages', () => {
  test('uses a Redis server as soon as it starts', async () => {
    const redis = await privateRedis();
    const { queue, logger } = openQueue(redis.url.replace('://', '://user:secret@'));
    const heard = listen(queue);
    queue.wake(due());
    await sleep(1_500);
    expect(queue.outageReason()).toBe(
      `Redis at 127.0.0.1:${redis.port} is unavailable (ECONNREFUSED). No jobs are lost: workers poll every second.`,
    );
    expect(logger.messages()).toEqual([linesOf(redis.port).away]);
    await redis.start();
    await redis.command('ACL', 'SETUSER', 'user', 'on', '>secret', '~*', '&*', '+@all');
    await expectWoken(queue, heard);
    expect(logger.messages()).toEqual([linesOf(redis.port).away, linesOf(redis.port).back]);
    expect(JSON.stringify(logger.lines)).not.toContain('secret');
  });

  test('reconnects to a Redis that was killed and restarted empty, and logs two lines', async () => {
    const redis = await privateRedis();
    const { queue, logger, heard } = await begin(redis);
    await redis.kill();
    await expect.poll(() => queue.outageReason(), back).toBeDefined();
    queue.wake(due());
    await sleep(2_000);
    await redis.start();
    await expectWoken(queue, heard);
    expect(logger.messages().filter((line) => !line.startsWith('reading a wake-up'))).toEqual([
      linesOf(redis.port).away,
      linesOf(redis.port).back,
    ]);
  });

  test('loses only wake-ups when Redis is flushed', async () => {
    const redis = await privateRedis();
    const { queue, heard, logger } = await begin(redis);
    for (let round = 0; round < 3; round++) {
      await redis.command('FLUSHALL');
      await expectWoken(queue, heard);
    }
    expect(logger.messages('warn')).toEqual([]);
  });

  test('survives a flush of Redis during a poll', async () => {
    const redis = await privateRedis();
    await redis.start();
    const { queue } = openQueue(redis.url);
    const looks: (() => void)[] = [];
    queue.onWake('derive', () => new Promise((resolve) => looks.push(resolve)));
    await expect.poll(() => queue.outageReason(), back).toBeUndefined();
    await sleep(300);
    for (let i = 0; i < 5; i++) queue.wake(due('derive', 5));
    await expect.poll(() => looks.length, back).toBe(1);
    await redis.command('FLUSHALL');
    await redis.command('SCRIPT', 'FLUSH');
    looks[0]?.();
    await sleep(300);
    queue.wake(due());
    await expect.poll(() => looks.length, back).toBe(2);
    looks[1]?.();
    await sleep(300);
    queue.wake(due());
    await expect.poll(() => looks.length, back).toBe(3);
    looks[2]?.();
  });

  test('a Redis that keeps its connections and says nothing is noticed, and used again afterwards', {
    tags: 'slow',
  }, async () => {
    const redis = await privateRedis();
    await redis.start();
    const proxy = await startTcpProxy({ host: '127.0.0.1', port: redis.port });
    const { queue } = openQueue(`redis://127.0.0.1:${proxy.port}`);
    const heard = listen(queue);
    await expectWoken(queue, heard);
    proxy.fallSilent();
    await expect.poll(() => queue.outageReason()).toBeDefined();
    await proxy.resume();
    await expectWoken(queue, heard);
  });

  test('reports a wrong password without revealing it', async () => {
    const redis = await privateRedis('--requirepass', 'right');
    await redis.start();
    const { queue, logger } = openQueue(redis.url.replace('://', '://:wrong@'));
    await expect.poll(() => queue.outageReason(), back).toContain('WRONGPASS');
    await sleep(1_000);
    expect(logger.messages()).toEqual([linesOf(redis.port).away]);
    expect(queue.outageReason() + JSON.stringify(logger.lines)).not.toContain('wrong@');
    expect(JSON.stringify(logger.lines)).not.toContain('"wrong"');
  });

  test('reports a missing database number and uses no other database', async () => {
    const redis = await privateRedis();
    await redis.start();
    const { queue } = openQueue(`${redis.url}/99`);
    await expect.poll(() => queue.outageReason(), back).toContain('DB index is out of range');
    queue.wake(due());
    await sleep(1_000);
    expect(queue.outageReason()).toContain('DB index is out of range');
    expect(await redis.command('DBSIZE')).toBe(0);
  });

  test('reports a Redis out of memory until it accepts wake-ups again', async () => {
    const redis = await privateRedis();
    const { queue, heard, logger } = await begin(redis);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    queue.wake(due());
    await expect.poll(() => queue.outageReason(), back).toContain('OOM');
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    queue.wake(due());
    await expect.poll(() => queue.outageReason(), back).toBeUndefined();
    await expectWoken(queue, heard);
    expect(logger.messages('warn')).toHaveLength(1);
  });

  test('warns once about a Redis that may evict messages', async () => {
    const redis = await privateRedis('--maxmemory-policy', 'allkeys-lru');
    const { queue, heard, logger } = await begin(redis);
    await redis.kill();
    await redis.start();
    await expectWoken(queue, heard);
    expect(logger.messages('warn').filter((line) => line.includes('maxmemory-policy'))).toEqual([
      'Redis may evict wake-ups when its memory is full, because maxmemory-policy is allkeys-lru. Set it to noeviction.',
    ]);
  });

  test('uses a Redis that hides its version and configuration', async () => {
    const redis = await privateRedis();
    await redis.start();
    await redis.command('ACL', 'SETUSER', 'user', 'on', '>secret', '~*', '&*', '+@all', '-info', '-config');
    const { queue, logger } = openQueue(redis.url.replace('://', '://user:secret@'));
    await expectWoken(queue, listen(queue));
    expect(logger.messages('warn')).toEqual([]);
  });

  test('limits the number of unread messages', async () => {
    const redis = await privateRedis();
    await redis.start();
    const { queue } = openQueue(redis.url);
    await expect.poll(() => queue.outageReason(), back).toBeUndefined();
    for (let i = 0; i < 100; i++) {
      queue.wake(due('derive', 100));
      await sleep(5);
    }
    expect(await redis.command('LLEN', 'bull:vitrine-test-derive:wait')).toBeLessThan(1_400);
  });

  test.each(['that was never reachable', 'that is running', 'that was lost'])(
    'closes at once with a Redis %s, and the process exits',
    async (state) => {
      const redis = await privateRedis();
      if (state !== 'that was never reachable') await redis.start();
      const child = spawn(process.execPath, [closer, redis.url], { stdio: ['ignore', 'pipe', 'inherit'] });
      const output = text(child.stdout);
      if (state === 'that was lost') {
        await sleep(700);
        await redis.kill();
      }
      const began = performance.now();
      const [code] = (await once(child, 'exit')) as [number | null];
      expect(code).toBe(0);
      const closedIn = Number(/closed in (\d+) ms/.exec(await output)?.[1]);
      expect(closedIn).toBeLessThan(1_000 * timeScale);
      expect(performance.now() - began).toBeLessThan(4_000 * timeScale);
    },
  );
});
