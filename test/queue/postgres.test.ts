import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makePostgresQueue } from '../../src/queue/postgres.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import { findFreePort } from '../support/inner/redis-server.ts';
import { runOnServer } from '../support/inner/server-database.ts';
import { startTcpProxy, type TcpProxy } from '../support/inner/tcp-proxy.ts';
import { services } from '../support/services.ts';
import { describeQueue, makeDueJobs, listen } from './queue-contract.ts';
import { timeScale } from '../support/time-scale.ts';

const connectionString = services.databaseUrl ?? '';
const makeChannelName = () => `test_${randomBytes(6).toString('hex')}`;
const pollOptions = { interval: 20 };
const lostMessage =
  'PostgreSQL notifications are unavailable, reconnecting; workers still find all jobs, because they poll every second';
const restoredMessage = 'PostgreSQL notifications are available again';

function openQueue(channel: string, connection: ClientConfig = { connectionString }, heartbeatMs = 10_000) {
  const logger = makeRecordingLogger();
  const queue = makePostgresQueue({ connection, logger, channel, heartbeatMs });
  onTestFinished(() => queue.close());
  return { queue, logger };
}

const waitUntilReady = (queue: { outageReason(): string | undefined }) =>
  expect.poll(() => queue.outageReason(), pollOptions).toBeUndefined();

/** Returns the settings for a connection to the server through a proxy. */
function makeProxyConnection({ port }: TcpProxy): ClientConfig {
  const url = new URL(connectionString);
  url.host = `127.0.0.1:${port}`;
  return { connectionString: url.href };
}

async function openQueueThroughProxy(heartbeatMs?: number) {
  const { hostname: host, port } = new URL(connectionString);
  const proxy = await startTcpProxy({ host, port: Number(port) });
  const channel = makeChannelName();
  const openedQueue = openQueue(channel, makeProxyConnection(proxy), heartbeatMs);
  await waitUntilReady(openedQueue.queue);
  return { ...openedQueue, proxy, channel };
}

/** Terminates the connections that listen on a channel and returns the number of connections. */
async function terminateListeners(channel: string): Promise<number> {
  const rows = await runOnServer(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'vitrine queue' AND query LIKE '%${channel}%'`,
  );
  return rows.length;
}

describe.skipIf(!services.databaseUrl)('PostgreSQL queue', () => {
  describeQueue('postgres', {
    async open(count) {
      const channel = makeChannelName();
      const queues = Array.from({ length: count }, () => openQueue(channel).queue);
      await Promise.all(queues.map(waitUntilReady));
      return queues;
    },
    isShared: true,
  });

  test('delivers a wake-up only once to the queue that sent it', async () => {
    const { queue } = openQueue(makeChannelName());
    await waitUntilReady(queue);
    const listener = listen(queue);
    queue.wake(makeDueJobs());
    await sleep(300);
    expect(listener.polls).toBe(1);
  });

  test('reconnects after the server has terminated the connection, and then wakes every listener once', async () => {
    const channel = makeChannelName();
    const [sender, { queue, logger }] = [openQueue(channel), openQueue(channel)];
    await Promise.all([waitUntilReady(sender.queue), waitUntilReady(queue)]);
    const [deriveListener, importListener] = [listen(queue), listen(queue, 'import')];
    expect(await terminateListeners(channel)).toBe(2);
    await expect.poll(() => logger.messages(), pollOptions).toEqual([lostMessage, restoredMessage]);
    await expect.poll(() => [deriveListener.polls, importListener.polls], pollOptions).toEqual([1, 1]);
    await waitUntilReady(sender.queue);
    sender.queue.wake(makeDueJobs());
    await expect.poll(() => [deriveListener.polls, importListener.polls], pollOptions).toEqual([2, 1]);
  });

  test('does not block callers while the server is unreachable, logs the outage once, and reconnects', async () => {
    const { queue, logger, proxy, channel } = await openQueueThroughProxy();
    const otherQueue = openQueue(channel);
    await waitUntilReady(otherQueue.queue);
    const [localListener, remoteListener] = [listen(queue), listen(otherQueue.queue)];
    await proxy.stop();
    await expect
      .poll(() => queue.outageReason(), pollOptions)
      .toMatch(
        /^PostgreSQL notifications are unavailable \(.+\)\. Workers still find all jobs, because they poll every second\.$/,
      );
    queue.wake(makeDueJobs());
    expect(localListener.polls).toBe(1);
    await sleep(3_000);
    expect(remoteListener.polls).toBe(0);
    await proxy.resume();
    await waitUntilReady(queue);
    // After reconnecting, the queue sends the pending wake-ups.
    await expect.poll(() => remoteListener.polls, pollOptions).toBe(1);
    expect(localListener.polls).toBe(2);
    expect(logger.messages()).toEqual([lostMessage, restoredMessage]);
  });

  test('replaces a connection that no longer responds', async () => {
    const { queue, proxy, channel } = await openQueueThroughProxy(400);
    const listener = listen(queue);
    proxy.blackhole();
    await expect.poll(() => queue.outageReason()).toContain('timed out after 200 ms');
    await proxy.resume();
    await waitUntilReady(queue);
    const otherQueue = openQueue(channel);
    await waitUntilReady(otherQueue.queue);
    const pollsBefore = listener.polls;
    otherQueue.queue.wake(makeDueJobs());
    await expect.poll(() => listener.polls, pollOptions).toBe(pollsBefore + 1);
  });

  test('closes quickly while the server does not respond', async () => {
    const { queue, proxy } = await openQueueThroughProxy();
    proxy.blackhole();
    queue.wake(makeDueJobs());
    const startedAt = performance.now();
    await queue.close();
    expect(performance.now() - startedAt).toBeLessThan(1_000 * timeScale);
  });

  test('ignores unknown notifications', async () => {
    const channel = makeChannelName();
    const { queue } = openQueue(channel);
    await waitUntilReady(queue);
    const listener = listen(queue);
    await runOnServer(`NOTIFY ${channel}`, `NOTIFY ${channel}, 'other'`, `NOTIFY ${channel}, 'derive'`);
    await expect.poll(() => listener.polls, pollOptions).toBe(1);
    expect(queue.outageReason()).toBeUndefined();
  });
});

test('accepts wake-ups while the server is unreachable, and does not reveal the password', async () => {
  const connectionString = `postgres://user:secret@127.0.0.1:${await findFreePort()}/nothing`;
  const { queue, logger } = openQueue(makeChannelName(), { connectionString });
  const listener = listen(queue);
  queue.wake(makeDueJobs());
  expect(listener.polls).toBe(1);
  await expect.poll(() => queue.outageReason(), pollOptions).toContain('ECONNREFUSED');
  await sleep(1_500);
  expect(logger.messages()).toEqual([lostMessage]);
  expect(queue.outageReason() + JSON.stringify(logger.lines)).not.toContain('secret');
  const startedAt = performance.now();
  await queue.close();
  expect(performance.now() - startedAt).toBeLessThan(1_000 * timeScale);
});
