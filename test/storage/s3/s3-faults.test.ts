import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeBucket, makeS3Clients } from '../../../src/storage/s3/client.ts';
import { putObject } from '../../../src/storage/s3/put-object.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import { services } from '../../support/services.ts';
import { keyOf, listAll, put, stage } from '../contract/support.ts';
import { testSettings, testStorage } from './support/bucket.ts';
import { type Fault, type Proxy, startProxy } from './support/proxy.ts';
import { timeScale } from '../../support/time-scale.ts';

const failed = { name: 'AppError', code: 'storage_failed', failureClass: 'transient' };
const timeoutMs = 500;

/** A store behind a proxy with two files, one of them far larger than the buffers of a connection. */
async function begin() {
  const proxy = await startProxy();
  const { storage, staging } = await testStorage({ endpoint: proxy.url, timeoutMs });
  const [small, large] = [randomBytes(1_000), randomBytes(12 * 2 ** 20)];
  return {
    proxy,
    storage,
    staging,
    bytes: small,
    small: await put(storage, small),
    large: await put(storage, large),
  };
}

/** Makes every kind of call, expects each to fail, and returns how long the slowest took. */
async function failEach(storage: Storage, key: string): Promise<number> {
  const began = performance.now();
  const bytes = randomBytes(2_000);
  const stream = randomBytes(400_000);
  const [path, streamPath] = [await stage(storage, bytes), await stage(storage, stream)];
  const calls = [
    () => storage.stat(key),
    () => storage.readAll(key),
    () => storage.localCopy(key),
    async () => buffer(await storage.read(key)),
    () => storage.remove(keyOf(Buffer.from('nothing'))),
    () => storage.store([{ path, key: keyOf(bytes) }], 'original'),
    () => storage.store([{ path: streamPath, key: keyOf(stream) }], 'derived'),
    () => listAll(storage),
    () => storage.check(),
  ];
  await Promise.all(calls.map((call) => expect(call()).rejects.toMatchObject(failed)));
  return performance.now() - began;
}

async function worksAgain(storage: Storage, proxy: Proxy, key: string, bytes: Buffer): Promise<void> {
  proxy.fault('none');
  expect(await storage.readAll(key)).toEqual(bytes);
  const more = randomBytes(300_000);
  await storage.store([{ path: await stage(storage, more), key: keyOf(more) }], 'original');
  expect(await storage.readAll(keyOf(more))).toEqual(more);
}

describe.skipIf(!services.s3Endpoint)('faults of a store', () => {
  test('tries three times on status 500, then fails, and recovers', async () => {
    const { proxy, storage, small, bytes } = await begin();
    proxy.fault('error 500');
    const before = proxy.answered.length;
    await expect(storage.readAll(small)).rejects.toMatchObject({
      ...failed,
      message: expect.stringContaining('InternalError'),
    });
    expect(proxy.answered.slice(before)).toEqual(['GET 500', 'GET 500', 'GET 500']);
    await failEach(storage, small);
    await worksAgain(storage, proxy, small, bytes);
  });

  test('gives up on a silent store after one timeout and closes its connections', async () => {
    const { proxy, storage, small, bytes } = await begin();
    proxy.fault('silent');
    // An upload has its own timeout, and a failing check also removes its file: the timeout may elapse twice.
    expect(await failEach(storage, small)).toBeLessThan(4 * timeoutMs * timeScale);
    await expect(storage.stat(small)).rejects.toMatchObject({
      message: `The store did not respond within ${timeoutMs / 1000} s.`,
    });
    await expect.poll(() => proxy.sockets()).toBeLessThan(3);
    await worksAgain(storage, proxy, small, bytes);
  });

  test.each<Fault>(['silent in the body', 'cut in the body'])(
    'a body that stops in the middle (%s) is an error for its reader, and no copy of it stays',
    async (fault) => {
      const { proxy, storage, staging, small, large, bytes } = await begin();
      proxy.fault(fault, ({ method }) => method === 'GET');
      const began = performance.now();
      for (const key of [small, large]) {
        await expect((async () => buffer(await storage.read(key)))()).rejects.toMatchObject(failed);
        await expect(storage.readAll(key)).rejects.toMatchObject(failed);
        await expect(storage.localCopy(key)).rejects.toMatchObject(failed);
      }
      expect(performance.now() - began).toBeLessThan((6 * timeoutMs + 2_000) * timeScale);
      expect(await readdir(staging)).toEqual([]);
      await expect.poll(() => proxy.sockets()).toBeLessThan(3);
      await worksAgain(storage, proxy, small, bytes);
    },
  );

  test('uses a store again at once when it is back', async () => {
    const { proxy, storage, small, bytes } = await begin();
    await proxy.down();
    await failEach(storage, small);
    await proxy.up();
    await worksAgain(storage, proxy, small, bytes);
  });

  test('waits for a slow reader longer than for the store', async () => {
    const { storage, large } = await begin();
    let bytes = 0;
    let pauses = 0;
    for await (const chunk of await storage.read(large)) {
      bytes += (chunk as Buffer).length;
      if (bytes < pauses * 4 * 2 ** 20) continue;
      pauses += 1;
      await sleep(timeoutMs + 200);
    }
    expect(bytes).toBe(12 * 2 ** 20);
    expect(pauses).toBeGreaterThan(1);
  });

  test('frees the connection of a reader that stops', async () => {
    const { proxy, storage, large } = await begin();
    for (let round = 0; round < 70; round += 1) {
      const body = await storage.read(large);
      await body.iterator({ destroyOnReturn: true }).next();
      body.destroy();
    }
    // There are only 64 connections: leaked ones would block this call.
    expect(await storage.stat(large)).toBeDefined();
    await expect.poll(() => proxy.sockets()).toBeLessThan(10);
  });

  test('fails only the call whose file cannot be read', async () => {
    const { proxy, storage, staging, small, bytes } = await begin();
    const settings = await testSettings({ endpoint: proxy.url, timeoutMs });
    const clients = makeS3Clients(settings);
    onTestFinished(() => clients.close());
    const content = randomBytes(300_000);
    const body = {
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest(),
      open: () => createReadStream(join(staging, 'not there')),
    };
    const put = { path: '', key: keyOf(content), body, onlyIfNew: true };
    await expect(putObject(makeBucket(clients, settings), put)).rejects.toMatchObject({ code: 'ENOENT' });
    await worksAgain(storage, proxy, small, bytes);
  });

  test('leaks no memory in failing calls', async () => {
    const { proxy, storage, small, bytes } = await begin();
    proxy.fault('silent in the body', ({ method }) => method === 'GET');
    const failMany = () =>
      Promise.all(
        Array.from({ length: 60 }, () => expect(storage.readAll(small)).rejects.toMatchObject(failed)),
      );
    await failMany();
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 4; round += 1) await failMany();
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
    await worksAgain(storage, proxy, small, bytes);
  });
});
