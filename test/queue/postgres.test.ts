import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makePostgresQueue } from '../../src/queue/postgres.ts';
import { keepingLogger } from '../support/inner/logger.ts';
import { freePort } from '../support/inner/redis-server.ts';
import { onServer } from '../support/inner/server-database.ts';
import { startTcpProxy, type TcpProxy } from '../support/inner/tcp-proxy.ts';
import { services } from '../support/services.ts';
import { describeQueue, due, listen } from './queue-contract.ts';
import { timeScale } from '../support/time-scale.ts';

const connectionString = services.databaseUrl ?? '';
const newChannel = () => `test_${randomBytes(6).toString('hex')}`;
const soon = { interval: 20 };
const began =
  'PostgreSQL notifications are unavailable, reconnecting; no jobs are lost: workers poll every second';
const ended = 'PostgreSQL notifications are available again';

function openQueue(channel: string, connection: ClientConfig = { connectionString }, heartbeatMs = 10_000) {
  const logger = keepingLogger();
  const queue = makePostgresQueue({ connection, logger, channel, heartbeatMs });
  onTestFinished(() => queue.close());
  return { queue, logger };
}

const ready = (queue: { outageReason(): string | undefined }) =>
  expect.poll(() => queue.outageReason(), soon).toBeUndefined();

/** The server as reached through a proxy. */
function through({ port }: TcpProxy): ClientConfig {
  const url = new URL(connectionString);
  url.host = `127.0.0.1:${port}`;
  return { connectionString: url.href };
}

async function openProxied(heartbeatMs?: number) {
  const { hostname: host, port } = new URL(connectionString);
  const proxy = await startTcpProxy({ host, port: Number(port) });
  const channel = newChannel();
  const opened = openQueue(channel, through(proxy), heartbeatMs);
  await ready(opened.queue);
  return { ...opened, proxy, channel };
}

/** Terminates the connections that listen on a channel and returns how many there were. */
async function terminate(channel: string): Promise<number> {
  const rows = await onServer(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'vitrine queue' AND query LIKE '%${channel}%'`,
  );
  return rows.length;
}

describe.skipIf(!services.databaseUrl)('on a server', () => {
  describeQueue('postgres', {
    async open(count) {
      const channel = newChannel();
      const queues = Array.from({ length: count }, () => openQueue(channel).queue);
      await Promise.all(queues.map(ready));
      return queues;
    },
    isShared: true,
  });

  test('does not receive its own wake-ups twice', async () => {
    const { queue } = openQueue(newChannel());
    await ready(queue);
    const heard = listen(queue);
    queue.wake(due());
    await sleep(300);
    expect(heard.looks).toBe(1);
  });

  test('replaces a connection terminated by the server, then wakes every listener once', async () => {
    const channel = newChannel();
    const [sender, { queue, logger }] = [openQueue(channel), openQueue(channel)];
    await Promise.all([ready(sender.queue), ready(queue)]);
    const [derive, imports] = [listen(queue), listen(queue, 'import')];
    expect(await terminate(channel)).toBe(2);
    await expect.poll(() => logger.messages(), soon).toEqual([began, ended]);
    await expect.poll(() => [derive.looks, imports.looks], soon).toEqual([1, 1]);
    await ready(sender.queue);
    sender.queue.wake(due());
    await expect.poll(() => [derive.looks, imports.looks], soon).toEqual([2, 1]);
  });

  test('blocks nothing during an outage, logs it once, and reconnects', async () => {
    const { queue, logger, proxy, channel } = await openProxied();
    const other = openQueue(channel);
    await ready(other.queue);
    const [own, others] = [listen(queue), listen(other.queue)];
    await proxy.stop();
    await expect
      .poll(() => queue.outageReason(), soon)
      .toMatch(
        /^PostgreSQL notifications are unavailable \(.+\)\. No jobs are lost: workers poll every second\.$/,
      );
    queue.wake(due());
    expect(own.looks).toBe(1);
    await sleep(3_000);
    expect(others.looks).toBe(0);
    await proxy.resume();
    await ready(queue);
    // The wake-ups that could not be sent meanwhile are sent now.
    await expect.poll(() => others.looks, soon).toBe(1);
    expect(own.looks).toBe(2);
    expect(logger.messages()).toEqual([began, ended]);
  });

  test('detects and replaces a connection whose peer went silent', async () => {
    const { queue, proxy, channel } = await openProxied(400);
    const heard = listen(queue);
    proxy.fallSilent();
    await expect.poll(() => queue.outageReason()).toContain('timed out after 200 ms');
    await proxy.resume();
    await ready(queue);
    const other = openQueue(channel);
    await ready(other.queue);
    const before = heard.looks;
    other.queue.wake(due());
    await expect.poll(() => heard.looks, soon).toBe(before + 1);
  });

  test('closes quickly while the server is silent', async () => {
    const { queue, proxy } = await openProxied();
    proxy.fallSilent();
    queue.wake(due());
    const start = performance.now();
    await queue.close();
    expect(performance.now() - start).toBeLessThan(1_000 * timeScale);
  });

  test('ignores foreign messages', async () => {
    const channel = newChannel();
    const { queue } = openQueue(channel);
    await ready(queue);
    const heard = listen(queue);
    await onServer(`NOTIFY ${channel}`, `NOTIFY ${channel}, 'other'`, `NOTIFY ${channel}, 'derive'`);
    await expect.poll(() => heard.looks, soon).toBe(1);
    expect(queue.outageReason()).toBeUndefined();
  });
});

test('fails no call if the server was never reachable, and does not reveal its password', async () => {
  const connectionString = `postgres://user:secret@127.0.0.1:${await freePort()}/nothing`;
  const { queue, logger } = openQueue(newChannel(), { connectionString });
  const heard = listen(queue);
  queue.wake(due());
  expect(heard.looks).toBe(1);
  await expect.poll(() => queue.outageReason(), soon).toContain('ECONNREFUSED');
  await sleep(1_500);
  expect(logger.messages()).toEqual([began]);
  expect(queue.outageReason() + JSON.stringify(logger.lines)).not.toContain('secret');
  const start = performance.now();
  await queue.close();
  expect(performance.now() - start).toBeLessThan(1_000 * timeScale);
});
