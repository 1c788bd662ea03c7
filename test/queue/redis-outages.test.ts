import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeRedisQueue } from '../../src/queue/redis.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import { hasRedisServer, type PrivateRedis, makePrivateRedis } from '../support/inner/redis-server.ts';
import { startTcpProxy } from '../support/inner/tcp-proxy.ts';
import { makeDueJobs, listen } from './queue-contract.ts';
import { timeScale } from '../support/time-scale.ts';

const closeQueueModule = fileURLToPath(new URL('./fixtures/close-queue.ts', import.meta.url));
const pollOptions = { interval: 20 };

function openQueue(url: string) {
  const logger = makeRecordingLogger();
  const queue = makeRedisQueue({ url, name: 'vitrine-test', logger });
  onTestFinished(() => queue.close());
  return { queue, logger };
}

/** Starts Redis, opens a queue with a listener, and waits until the listener has been woken. */
async function openConnectedQueue(redis: PrivateRedis) {
  await redis.start();
  const openedQueue = openQueue(redis.url);
  const listener = listen(openedQueue.queue);
  await expectWoken(openedQueue.queue, listener);
  return { ...openedQueue, listener };
}

async function expectWoken(queue: ReturnType<typeof makeRedisQueue>, listener: { polls: number }) {
  await expect.poll(() => queue.outageReason(), pollOptions).toBeUndefined();
  const pollsBefore = listener.polls;
  await expect
    .poll(
      () => {
        queue.wake(makeDueJobs());
        return listener.polls;
      },
      { interval: 100 },
    )
    .toBeGreaterThan(pollsBefore);
}

const makeLogLines = (port: number) => ({
  // The reason follows in parentheses.
  lost: expect.stringContaining(
    `Redis at 127.0.0.1:${port} is unavailable, reconnecting; workers still find all jobs, because they poll every second (`,
  ) as string,
  restored: `Redis at 127.0.0.1:${port} is available again`,
});

describe.skipIf(!hasRedisServer())('Redis queue', () => {
  test('connects as soon as Redis starts', async () => {
    const redis = await makePrivateRedis();
    const { queue, logger } = openQueue(redis.url.replace('://', '://user:secret@'));
    const listener = listen(queue);
    queue.wake(makeDueJobs());
    await sleep(1_500);
    expect(queue.outageReason()).toBe(
      `Redis at 127.0.0.1:${redis.port} is unavailable (ECONNREFUSED). Workers still find all jobs, because they poll every second.`,
    );
    expect(logger.messages()).toEqual([makeLogLines(redis.port).lost]);
    await redis.start();
    await redis.command('ACL', 'SETUSER', 'user', 'on', '>secret', '~*', '&*', '+@all');
    await expectWoken(queue, listener);
    expect(logger.messages()).toEqual([makeLogLines(redis.port).lost, makeLogLines(redis.port).restored]);
    expect(JSON.stringify(logger.lines)).not.toContain('secret');
  });

  test('reconnects after Redis is killed and restarts empty, and logs the outage and the recovery', async () => {
    const redis = await makePrivateRedis();
    const { queue, logger, listener } = await openConnectedQueue(redis);
    await redis.kill();
    await expect.poll(() => queue.outageReason(), pollOptions).toBeDefined();
    queue.wake(makeDueJobs());
    await sleep(2_000);
    await redis.start();
    await expectWoken(queue, listener);
    expect(logger.messages().filter((line) => !line.startsWith('failed to read a wake-up'))).toEqual([
      makeLogLines(redis.port).lost,
      makeLogLines(redis.port).restored,
    ]);
  });

  test('continues after Redis is flushed', async () => {
    const redis = await makePrivateRedis();
    const { queue, listener, logger } = await openConnectedQueue(redis);
    for (let round = 0; round < 3; round++) {
      await redis.command('FLUSHALL');
      await expectWoken(queue, listener);
    }
    expect(logger.messages('warn')).toEqual([]);
  });

  test('continues after Redis is flushed during a poll', async () => {
    const redis = await makePrivateRedis();
    await redis.start();
    const { queue } = openQueue(redis.url);
    const endPolls: (() => void)[] = [];
    queue.onWake('derive', () => new Promise((resolve) => endPolls.push(resolve)));
    await expect.poll(() => queue.outageReason(), pollOptions).toBeUndefined();
    await sleep(300);
    for (let i = 0; i < 5; i++) queue.wake(makeDueJobs('derive', 5));
    await expect.poll(() => endPolls.length, pollOptions).toBe(1);
    await redis.command('FLUSHALL');
    await redis.command('SCRIPT', 'FLUSH');
    endPolls[0]?.();
    await sleep(300);
    queue.wake(makeDueJobs());
    await expect.poll(() => endPolls.length, pollOptions).toBe(2);
    endPolls[1]?.();
    await sleep(300);
    queue.wake(makeDueJobs());
    await expect.poll(() => endPolls.length, pollOptions).toBe(3);
    endPolls[2]?.();
  });

  test('detects that Redis no longer responds, and reconnects when Redis responds again', {
    tags: 'slow',
  }, async () => {
    const redis = await makePrivateRedis();
    await redis.start();
    const proxy = await startTcpProxy({ host: '127.0.0.1', port: redis.port });
    const { queue } = openQueue(`redis://127.0.0.1:${proxy.port}`);
    const listener = listen(queue);
    await expectWoken(queue, listener);
    proxy.blackhole();
    await expect.poll(() => queue.outageReason()).toBeDefined();
    await proxy.resume();
    await expectWoken(queue, listener);
  });

  test('reports a wrong password without revealing it', async () => {
    const redis = await makePrivateRedis('--requirepass', 'right');
    await redis.start();
    const { queue, logger } = openQueue(redis.url.replace('://', '://:wrong@'));
    await expect.poll(() => queue.outageReason(), pollOptions).toContain('WRONGPASS');
    await sleep(1_000);
    expect(logger.messages()).toEqual([makeLogLines(redis.port).lost]);
    expect(queue.outageReason() + JSON.stringify(logger.lines)).not.toContain('wrong@');
    expect(JSON.stringify(logger.lines)).not.toContain('"wrong"');
  });

  test('reports an invalid database number and does not use a different database', async () => {
    const redis = await makePrivateRedis();
    await redis.start();
    const { queue } = openQueue(`${redis.url}/99`);
    await expect.poll(() => queue.outageReason(), pollOptions).toContain('DB index is out of range');
    queue.wake(makeDueJobs());
    await sleep(1_000);
    expect(queue.outageReason()).toContain('DB index is out of range');
    expect(await redis.command('DBSIZE')).toBe(0);
  });

  test('reports that Redis is out of memory until Redis accepts wake-ups again', async () => {
    const redis = await makePrivateRedis();
    const { queue, listener, logger } = await openConnectedQueue(redis);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    queue.wake(makeDueJobs());
    await expect.poll(() => queue.outageReason(), pollOptions).toContain('OOM');
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    queue.wake(makeDueJobs());
    await expect.poll(() => queue.outageReason(), pollOptions).toBeUndefined();
    await expectWoken(queue, listener);
    expect(logger.messages('warn')).toHaveLength(1);
  });

  test('warns once if Redis may evict wake-ups', async () => {
    const redis = await makePrivateRedis('--maxmemory-policy', 'allkeys-lru');
    const { queue, listener, logger } = await openConnectedQueue(redis);
    await redis.kill();
    await redis.start();
    await expectWoken(queue, listener);
    expect(logger.messages('warn').filter((line) => line.includes('maxmemory-policy'))).toEqual([
      'Redis may evict wake-ups when its memory is full, because maxmemory-policy is allkeys-lru. Set it to noeviction.',
    ]);
  });

  test('works without permission to read the Redis version and configuration', async () => {
    const redis = await makePrivateRedis();
    await redis.start();
    await redis.command('ACL', 'SETUSER', 'user', 'on', '>secret', '~*', '&*', '+@all', '-info', '-config');
    const { queue, logger } = openQueue(redis.url.replace('://', '://user:secret@'));
    await expectWoken(queue, listen(queue));
    expect(logger.messages('warn')).toEqual([]);
  });

  test('limits the number of unread wake-ups', async () => {
    const redis = await makePrivateRedis();
    await redis.start();
    const { queue } = openQueue(redis.url);
    await expect.poll(() => queue.outageReason(), pollOptions).toBeUndefined();
    for (let i = 0; i < 100; i++) {
      queue.wake(makeDueJobs('derive', 100));
      await sleep(5);
    }
    expect(await redis.command('LLEN', 'bull:vitrine-test-derive:wait')).toBeLessThan(1_400);
  });

  test.each(['was never reachable', 'is running', 'was killed'])(
    'closes quickly if Redis %s, and lets the process exit',
    async (state) => {
      const redis = await makePrivateRedis();
      if (state !== 'was never reachable') await redis.start();
      const child = spawn(process.execPath, [closeQueueModule, redis.url], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const output = text(child.stdout);
      if (state === 'was killed') {
        await sleep(700);
        await redis.kill();
      }
      const startedAt = performance.now();
      const [code] = (await once(child, 'exit')) as [number | null];
      expect(code).toBe(0);
      const closeMs = Number(/closed in (\d+) ms/.exec(await output)?.[1]);
      expect(closeMs).toBeLessThan(1_000 * timeScale);
      expect(performance.now() - startedAt).toBeLessThan(4_000 * timeScale);
    },
  );
});
