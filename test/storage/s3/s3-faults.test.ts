import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { makeBucket, makeS3Clients } from '../../../src/storage/s3/client.ts';
import { putObject } from '../../../src/storage/s3/put-object.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import { services } from '../../support/services.ts';
import { contentKey, listAll, put, stage } from '../contract/support.ts';
import { testSettings, testStorage } from './support/bucket.ts';
import { type Fault, type Proxy, startProxy } from './support/proxy.ts';
import { timeScale, waitTimeoutMs } from '../../support/time-scale.ts';

const storageFailed = { name: 'AppError', code: 'storage_failed', failureClass: 'transient' };

/** Timeout of calls that are expected to fail. */
const timeoutMs = 500;

/** Timeout of calls that must succeed even on a busy machine. */
const generousTimeoutMs = 300 * timeScale;

/** Opens a store behind a proxy. Stores a small file, and a file that is larger than a connection's buffers. */
async function openProxiedStore(storageTimeoutMs = timeoutMs) {
  const { storage: directStorage, prefix } = await testStorage({ timeoutMs: 60_000 });
  const [smallContent, largeContent] = [randomBytes(1_000), randomBytes(12 * 2 ** 20)];
  const keys = {
    smallKey: await put(directStorage, smallContent),
    largeKey: await put(directStorage, largeContent),
  };
  const proxy = await startProxy();
  const settings = { endpoint: proxy.url, prefix, timeoutMs: storageTimeoutMs };
  return { ...(await testStorage(settings)), ...keys, proxy, bytes: smallContent };
}

/** Expects that every method fails. Returns the milliseconds until all calls have failed. */
async function expectAllToFail(storage: Storage, key: string): Promise<number> {
  const startedAt = performance.now();
  const bytes = randomBytes(2_000);
  const largeContent = randomBytes(400_000);
  const [path, largePath] = [await stage(storage, bytes), await stage(storage, largeContent)];
  const calls = [
    () => storage.stat(key),
    () => storage.readAll(key),
    () => storage.localCopy(key),
    async () => buffer(await storage.read(key)),
    () => storage.remove(contentKey(Buffer.from('nothing'))),
    () => storage.store([{ path, key: contentKey(bytes) }], 'original'),
    () => storage.store([{ path: largePath, key: contentKey(largeContent) }], 'derived'),
    () => listAll(storage),
    () => storage.check(),
  ];
  await Promise.all(calls.map((call) => expect(call()).rejects.toMatchObject(storageFailed)));
  return performance.now() - startedAt;
}

/**
 * Ends the fault and expects reads and writes to succeed. Repeats them, because on a busy machine a single attempt may
 * exceed the short timeout.
 */
async function expectRecovery(storage: Storage, proxy: Proxy, key: string, bytes: Buffer): Promise<void> {
  proxy.fault('none');
  const content = randomBytes(300_000);
  await vi.waitFor(async () => {
    expect(await storage.readAll(key)).toEqual(bytes);
    await storage.store([{ path: await stage(storage, content), key: contentKey(content) }], 'original');
    expect(await storage.readAll(contentKey(content))).toEqual(content);
  }, waitTimeoutMs);
}

describe.skipIf(!services.s3Endpoint)('S3 storage during faults', () => {
  test('fails after three responses with status 500, and recovers when the fault ends', async () => {
    const { proxy, storage, smallKey, bytes } = await openProxiedStore();
    proxy.fault('error 500');
    const countBefore = proxy.responses.length;
    await expect(storage.readAll(smallKey)).rejects.toMatchObject({
      ...storageFailed,
      message: expect.stringContaining('InternalError'),
    });
    expect(proxy.responses.slice(countBefore)).toEqual(['GET 500', 'GET 500', 'GET 500']);
    await expectAllToFail(storage, smallKey);
    await expectRecovery(storage, proxy, smallKey, bytes);
  });

  test('fails after the timeout if the store does not respond, and closes the connections', async () => {
    const { proxy, storage, smallKey, bytes } = await openProxiedStore();
    proxy.fault('no response');
    // The timeout may elapse twice, because each upload has a timeout of its own and a failed check also removes its
    // test file.
    expect(await expectAllToFail(storage, smallKey)).toBeLessThan(4 * timeoutMs * timeScale);
    await expect(storage.stat(smallKey)).rejects.toMatchObject({
      message: `The store did not respond within ${timeoutMs / 1000} s.`,
    });
    await expect.poll(() => proxy.openConnections()).toBeLessThan(3);
    await expectRecovery(storage, proxy, smallKey, bytes);
  });

  test.each<Fault>(['stalled body', 'truncated body'])(
    'reports an incomplete body (%s) to the reader and leaves no local copy',
    async (fault) => {
      const { proxy, storage, staging, smallKey, largeKey, bytes } = await openProxiedStore();
      proxy.fault(fault, ({ method }) => method === 'GET');
      const startedAt = performance.now();
      for (const key of [smallKey, largeKey]) {
        await expect((async () => buffer(await storage.read(key)))()).rejects.toMatchObject(storageFailed);
        await expect(storage.readAll(key)).rejects.toMatchObject(storageFailed);
        await expect(storage.localCopy(key)).rejects.toMatchObject(storageFailed);
      }
      expect(performance.now() - startedAt).toBeLessThan((6 * timeoutMs + 2_000) * timeScale);
      expect(await readdir(staging)).toEqual([]);
      await expect.poll(() => proxy.openConnections()).toBeLessThan(3);
      await expectRecovery(storage, proxy, smallKey, bytes);
    },
  );

  test('recovers as soon as the store accepts connections again', async () => {
    const { proxy, storage, smallKey, bytes } = await openProxiedStore();
    await proxy.down();
    await expectAllToFail(storage, smallKey);
    await proxy.up();
    await expectRecovery(storage, proxy, smallKey, bytes);
  });

  test('does not apply the timeout to a slow reader', { tags: 'scenario' }, async () => {
    const { storage, largeKey } = await openProxiedStore(generousTimeoutMs);
    let bytes = 0;
    let pauses = 0;
    for await (const chunk of await storage.read(largeKey)) {
      bytes += (chunk as Buffer).length;
      if (bytes < pauses * 4 * 2 ** 20) continue;
      pauses += 1;
      await sleep(generousTimeoutMs + 200);
    }
    expect(bytes).toBe(12 * 2 ** 20);
    expect(pauses).toBeGreaterThan(1);
  });

  test('releases the connection if a reader stops reading', { tags: 'scenario' }, async () => {
    const { proxy, storage, largeKey } = await openProxiedStore(generousTimeoutMs);
    for (let round = 0; round < 70; round += 1) {
      const body = await storage.read(largeKey);
      await body.iterator({ destroyOnReturn: true }).next();
      body.destroy();
    }
    // The pool has 64 connections. If they were leaked, this call would block.
    expect(await storage.stat(largeKey)).toBeDefined();
    await expect.poll(() => proxy.openConnections()).toBeLessThan(10);
  });

  test('rejects only the upload whose file cannot be read', async () => {
    const { proxy, storage, staging, smallKey, bytes } = await openProxiedStore();
    const settings = await testSettings({ endpoint: proxy.url, timeoutMs });
    const clients = makeS3Clients(settings);
    onTestFinished(() => clients.close());
    const content = randomBytes(300_000);
    const body = {
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest(),
      open: () => createReadStream(join(staging, 'missing')),
    };
    const upload = { path: '', key: contentKey(content), body, onlyIfNew: true };
    await expect(putObject(makeBucket(clients, settings), upload)).rejects.toMatchObject({ code: 'ENOENT' });
    await expectRecovery(storage, proxy, smallKey, bytes);
  });

  test('does not leak memory if calls fail', async () => {
    const { proxy, storage, smallKey, bytes } = await openProxiedStore();
    proxy.fault('stalled body', ({ method }) => method === 'GET');
    const expectManyFailures = () =>
      Promise.all(
        Array.from({ length: 60 }, () =>
          expect(storage.readAll(smallKey)).rejects.toMatchObject(storageFailed),
        ),
      );
    await expectManyFailures();
    const bytesBefore = process.memoryUsage().rss;
    for (let round = 0; round < 4; round += 1) await expectManyFailures();
    expect(process.memoryUsage().rss - bytesBefore).toBeLessThan(64 * 2 ** 20);
    await expectRecovery(storage, proxy, smallKey, bytes);
  });
});
