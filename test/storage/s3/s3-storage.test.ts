import { randomBytes } from 'node:crypto';
import { readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { incomingKey, originalKey } from '../../../src/storage/keys.ts';
import { services } from '../../support/services.ts';
import { contentHash, contentKey, listAll, missingKey, put, stage } from '../contract/support.ts';
import { bucketName, truncateObject, makeRawClient, testStorage } from './support/bucket.ts';
import { startProxy } from './support/proxy.ts';
import { timeScale } from '../../support/time-scale.ts';

const storageFailed = { name: 'AppError', code: 'storage_failed', failureClass: 'transient' };

describe.skipIf(!services.s3Endpoint)('S3 storage', () => {
  const client = makeRawClient();
  const listUploads = async (prefix: string) =>
    (await client.send(new ListMultipartUploadsCommand({ Bucket: bucketName, Prefix: prefix }))).Uploads ??
    [];
  const listObjects = async (prefix: string) =>
    (await client.send(new ListObjectsV2Command({ Bucket: bucketName, Prefix: prefix }))).Contents ?? [];

  describe('for originals', () => {
    test('does not overwrite an original if two writers store it concurrently', async () => {
      const proxy = await startProxy();
      const firstStore = await testStorage({ endpoint: proxy.url });
      const secondStore = await testStorage({ endpoint: proxy.url, prefix: firstStore.prefix });
      const bytes = randomBytes(5_000);
      const key = contentKey(bytes);
      const files = await Promise.all(
        [firstStore, secondStore, firstStore, secondStore].map(async ({ storage }) => ({
          storage,
          path: await stage(storage, bytes),
        })),
      );
      await Promise.all(files.map(({ storage, path }) => storage.store([{ path, key }], 'original')));
      const putResponses = proxy.responses.filter((response) => response.startsWith('PUT')).toSorted();
      expect(putResponses).toEqual(['PUT 200', 'PUT 412', 'PUT 412', 'PUT 412']);
      expect(await firstStore.storage.readAll(key)).toEqual(bytes);
    });

    test('retries after a conflict with a concurrent writer', async () => {
      const proxy = await startProxy();
      const { storage } = await testStorage({ endpoint: proxy.url });
      const bytes = randomBytes(100);
      proxy.fault('concurrent writer', () => true, 2);
      await storage.store([{ path: await stage(storage, bytes), key: contentKey(bytes) }], 'original');
      expect(proxy.responses).toEqual(['PUT 409', 'PUT 409', 'PUT 200']);
      expect(await storage.readAll(contentKey(bytes))).toEqual(bytes);
    });

    test('stops using conditional writes if the store does not support them, and still repairs a truncated file', async () => {
      const proxy = await startProxy();
      proxy.fault('no conditional writes');
      const { storage, prefix } = await testStorage({ endpoint: proxy.url });
      for (let round = 0; round < 3; round += 1) {
        const bytes = randomBytes(100);
        await storage.store([{ path: await stage(storage, bytes), key: contentKey(bytes) }], 'original');
        expect(await storage.readAll(contentKey(bytes))).toEqual(bytes);
      }
      expect(proxy.conditionalRequests()).toBe(1);
      const bytes = randomBytes(1_000);
      const key = await put(storage, bytes);
      await truncateObject(client, `${prefix}${key}`, 10);
      await storage.store([{ path: await stage(storage, bytes), key }], 'original');
      expect(await storage.readAll(key)).toEqual(bytes);
    });
  });

  describe('large files', () => {
    test('are uploaded in parts and read back unchanged', async () => {
      const { storage, prefix } = await testStorage();
      const bytes = randomBytes(40 * 2 ** 20);
      const key = contentKey(bytes);
      const path = await stage(storage, bytes);
      for (let round = 0; round < 2; round += 1) {
        await storage.store([{ path, key }], 'original');
        const copy = await storage.localCopy(key);
        expect(contentHash(await storage.readAll(key))).toBe(contentHash(bytes));
        await copy.release();
      }
      expect(await storage.stat(key)).toMatchObject({ bytes: bytes.length });
      expect(await listUploads(prefix)).toEqual([]);
      expect(await readdir(storage.stagingDirectory)).toHaveLength(1);
    });

    test('are streamed if they exceed 256 KiB, and are retried after a server error', async () => {
      const proxy = await startProxy();
      const { storage } = await testStorage({ endpoint: proxy.url });
      const bytes = randomBytes(3 * 2 ** 20);
      proxy.fault('error 500', ({ method }) => method === 'PUT', 2);
      await storage.store([{ path: await stage(storage, bytes), key: contentKey(bytes) }], 'original');
      expect(proxy.responses).toEqual(['PUT 500', 'PUT 500', 'PUT 200']);
      expect(contentHash(await storage.readAll(contentKey(bytes)))).toBe(contentHash(bytes));
    });

    test('leave neither parts nor an object after a failed upload', async () => {
      const proxy = await startProxy();
      const { storage, prefix } = await testStorage({ endpoint: proxy.url });
      const path = join(storage.stagingDirectory, 'large');
      await writeFile(path, '');
      await truncate(path, 40 * 2 ** 20);
      const key = originalKey(1, 'c'.repeat(64));
      proxy.fault('error 500', ({ url }) => /partNumber=[3-9]/.test(url ?? ''));
      await expect(storage.store([{ path, key }], 'original')).rejects.toMatchObject(storageFailed);
      expect(await listUploads(prefix)).toEqual([]);
      expect(await storage.stat(key)).toBeUndefined();
      expect(await readdir(storage.stagingDirectory)).toEqual(['large']);
    });

    test('are removed if a crash left them incomplete', async () => {
      const { storage, prefix } = await testStorage();
      const object = { Bucket: bucketName, Key: `${prefix}${missingKey}` };
      await client.send(
        new PutObjectCommand({ ...object, Key: `${prefix}${incomingKey(1, 'a-b')}`, Body: 'x' }),
      );
      const completeKey = await put(storage, randomBytes(10));
      expect(await storage.sweepUnfinished(60_000)).toBe(0);
      // The test store reports that every upload started years ago.
      await client.send(new CreateMultipartUploadCommand(object));
      expect(await storage.sweepUnfinished(-60_000)).toBe(2);
      expect(await listUploads(prefix)).toEqual([]);
      expect((await listObjects(prefix)).map(({ Key }) => Key)).toEqual([`${prefix}${completeKey}`]);
    });
  });

  test('isolates installations in the same bucket from each other and from unrelated objects', async () => {
    const [ownStore, otherStore] = [await testStorage(), await testStorage()];
    const bytes = randomBytes(10);
    const key = await put(ownStore.storage, bytes);
    for (const unrelatedKey of ['originals/Not A Key', 'originals/', 'else/x', 'checks/x', 'incoming/1/x']) {
      await client.send(
        new PutObjectCommand({ Bucket: bucketName, Key: `${ownStore.prefix}${unrelatedKey}`, Body: 'x' }),
      );
    }
    expect(await listAll(ownStore.storage)).toMatchObject([{ key, bytes: 10 }]);
    expect(await listAll(otherStore.storage)).toEqual([]);
    expect(await otherStore.storage.stat(key)).toBeUndefined();
    await otherStore.storage.remove(key);
    expect(await ownStore.storage.readAll(key)).toEqual(bytes);
  });

  test('lists more objects than fit on one page', async () => {
    const { storage, prefix } = await testStorage();
    const keys = Array.from({ length: 1_050 }, (_, index) =>
      originalKey(1, contentHash(Buffer.from(`${index}`))),
    );
    await Promise.all(
      keys.map((key) =>
        client.send(new PutObjectCommand({ Bucket: bucketName, Key: `${prefix}${key}`, Body: 'x' })),
      ),
    );
    expect((await listAll(storage)).map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
  });

  describe('corrupted transfers', () => {
    test('are rejected by a store that verifies checksums', async () => {
      const proxy = await startProxy();
      const { storage } = await testStorage({ endpoint: proxy.url });
      proxy.fault('corrupted bodies');
      for (const size of [1_000, 2 ** 20]) {
        const bytes = randomBytes(size);
        await expect(
          storage.store([{ path: await stage(storage, bytes), key: contentKey(bytes) }], 'original'),
        ).rejects.toMatchObject({ ...storageFailed, message: expect.stringContaining('BadDigest') });
        expect(await storage.stat(contentKey(bytes))).toBeUndefined();
      }
    });

    test('are detected when a complete file is read, and leave no local copy', async () => {
      const proxy = await startProxy();
      const { storage, staging } = await testStorage({ endpoint: proxy.url });
      const key = await put(storage, randomBytes(400_000));
      proxy.fault('corrupted bodies');
      await expect(storage.readAll(key)).rejects.toMatchObject(storageFailed);
      await expect(storage.localCopy(key)).rejects.toMatchObject(storageFailed);
      expect(await readdir(staging)).toEqual([]);
    });
  });

  describe('error messages', () => {
    test('report a missing bucket instead of a missing file', async () => {
      const { storage } = await testStorage({ bucket: 'no-such-bucket-here' });
      const bucketMissing = { ...storageFailed, message: expect.stringMatching(/NoSuchBucket.*S3_BUCKET/) };
      const bytes = randomBytes(10);
      const path = await stage(storage, bytes);
      await expect(storage.check()).rejects.toMatchObject(bucketMissing);
      await expect(storage.probe()).rejects.toMatchObject(bucketMissing);
      await expect(storage.store([{ path, key: missingKey }], 'original')).rejects.toMatchObject(
        bucketMissing,
      );
      await expect(storage.stat(missingKey)).rejects.toMatchObject(bucketMissing);
      await expect(storage.readAll(missingKey)).rejects.toMatchObject(bucketMissing);
      await expect(listAll(storage)).rejects.toMatchObject(bucketMissing);
    });

    test('report an exceeded quota as a full store', async () => {
      const proxy = await startProxy();
      proxy.fault('quota');
      const { storage } = await testStorage({ endpoint: proxy.url });
      await expect(put(storage, randomBytes(10))).rejects.toMatchObject({
        code: 'storage_full',
        message: expect.stringContaining('QuotaExceeded'),
      });
    });

    test('contain neither keys nor addresses, but include the cause', async () => {
      const { storage } = await testStorage({ bucket: 'no-such-bucket-here' });
      const error = (await storage.readAll(missingKey).catch((thrown: unknown) => thrown)) as Error;
      expect(error.message).not.toMatch(/no-such-bucket-here|originals|127\.0\.0\.1/);
      expect(error.cause).toBeInstanceOf(Error);
    });
  });
});

describe('an unreachable S3 store', () => {
  test('causes every call to fail before the timeout', async () => {
    const { storage } = await testStorage({ endpoint: 'http://127.0.0.1:9', timeoutMs: 2_000 });
    const startedAt = performance.now();
    await expect(storage.check()).rejects.toMatchObject({
      ...storageFailed,
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await expect(storage.stat(missingKey)).rejects.toMatchObject(storageFailed);
    await expect(storage.readAll(missingKey)).rejects.toMatchObject(storageFailed);
    expect(performance.now() - startedAt).toBeLessThan(4_000 * timeScale);
  });
});
