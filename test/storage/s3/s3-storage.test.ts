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
import { hashOf, keyOf, listAll, nowhere, put, stage } from '../contract/support.ts';
import { bucketName, cutObject, rawClient, testStorage } from './support/bucket.ts';
import { startProxy } from './support/proxy.ts';
import { timeScale } from '../../support/time-scale.ts';

const failed = { name: 'AppError', code: 'storage_failed', failureClass: 'transient' };

describe.skipIf(!services.s3Endpoint)('storage in a bucket', () => {
  const client = rawClient();
  const uploadsUnder = async (prefix: string) =>
    (await client.send(new ListMultipartUploadsCommand({ Bucket: bucketName, Prefix: prefix }))).Uploads ??
    [];
  const keysUnder = async (prefix: string) =>
    (await client.send(new ListObjectsV2Command({ Bucket: bucketName, Prefix: prefix }))).Contents ?? [];

  describe('originals', () => {
    test('does not overwrite an existing original, even with two concurrent writers', async () => {
      const proxy = await startProxy();
      const first = await testStorage({ endpoint: proxy.url });
      const second = await testStorage({ endpoint: proxy.url, prefix: first.prefix });
      const bytes = randomBytes(5_000);
      const key = keyOf(bytes);
      const files = await Promise.all(
        [first, second, first, second].map(async ({ storage }) => ({
          storage,
          path: await stage(storage, bytes),
        })),
      );
      await Promise.all(files.map(({ storage, path }) => storage.store([{ path, key }], 'original')));
      const puts = proxy.answered.filter((answer) => answer.startsWith('PUT')).toSorted();
      expect(puts).toEqual(['PUT 200', 'PUT 412', 'PUT 412', 'PUT 412']);
      expect(await first.storage.readAll(key)).toEqual(bytes);
    });

    test('retries if the store is busy with the same key', async () => {
      const proxy = await startProxy();
      const { storage } = await testStorage({ endpoint: proxy.url });
      const bytes = randomBytes(100);
      proxy.fault('another writer', () => true, 2);
      await storage.store([{ path: await stage(storage, bytes), key: keyOf(bytes) }], 'original');
      expect(proxy.answered).toEqual(['PUT 409', 'PUT 409', 'PUT 200']);
      expect(await storage.readAll(keyOf(bytes))).toEqual(bytes);
    });

    test('remembers a store without conditional uploads and still repairs a truncated file', async () => {
      const proxy = await startProxy();
      proxy.fault('knows no conditions');
      const { storage, prefix } = await testStorage({ endpoint: proxy.url });
      for (let round = 0; round < 3; round += 1) {
        const bytes = randomBytes(100);
        await storage.store([{ path: await stage(storage, bytes), key: keyOf(bytes) }], 'original');
        expect(await storage.readAll(keyOf(bytes))).toEqual(bytes);
      }
      expect(proxy.conditions()).toBe(1);
      const bytes = randomBytes(1_000);
      const key = await put(storage, bytes);
      await cutObject(client, `${prefix}${key}`, 10);
      await storage.store([{ path: await stage(storage, bytes), key }], 'original');
      expect(await storage.readAll(key)).toEqual(bytes);
    });
  });

  describe('large files', () => {
    test('uploads 40 MiB in parts, returns the same bytes, and changes nothing the second time', async () => {
      const { storage, prefix } = await testStorage();
      const bytes = randomBytes(40 * 2 ** 20);
      const key = keyOf(bytes);
      const path = await stage(storage, bytes);
      for (let round = 0; round < 2; round += 1) {
        await storage.store([{ path, key }], 'original');
        const copy = await storage.localCopy(key);
        expect(hashOf(await storage.readAll(key))).toBe(hashOf(bytes));
        await copy.release();
      }
      expect(await storage.stat(key)).toMatchObject({ bytes: bytes.length });
      expect(await uploadsUnder(prefix)).toEqual([]);
      expect(await readdir(storage.stagingDirectory)).toHaveLength(1);
    });

    test('streams more than 256 KiB and retries after a server error', async () => {
      const proxy = await startProxy();
      const { storage } = await testStorage({ endpoint: proxy.url });
      const bytes = randomBytes(3 * 2 ** 20);
      proxy.fault('error 500', ({ method }) => method === 'PUT', 2);
      await storage.store([{ path: await stage(storage, bytes), key: keyOf(bytes) }], 'original');
      expect(proxy.answered).toEqual(['PUT 500', 'PUT 500', 'PUT 200']);
      expect(hashOf(await storage.readAll(keyOf(bytes)))).toBe(hashOf(bytes));
    });

    test('leaves neither parts nor an object after a failed upload', async () => {
      const proxy = await startProxy();
      const { storage, prefix } = await testStorage({ endpoint: proxy.url });
      const path = join(storage.stagingDirectory, 'large');
      await writeFile(path, '');
      await truncate(path, 40 * 2 ** 20);
      const key = originalKey(1, 'c'.repeat(64));
      proxy.fault('error 500', ({ url }) => /partNumber=[3-9]/.test(url ?? ''));
      await expect(storage.store([{ path, key }], 'original')).rejects.toMatchObject(failed);
      expect(await uploadsUnder(prefix)).toEqual([]);
      expect(await storage.stat(key)).toBeUndefined();
      expect(await readdir(storage.stagingDirectory)).toEqual(['large']);
    });

    test('sweeps old parts that a crash left', async () => {
      const { storage, prefix } = await testStorage();
      const name = { Bucket: bucketName, Key: `${prefix}${nowhere}` };
      await client.send(
        new PutObjectCommand({ ...name, Key: `${prefix}${incomingKey(1, 'a-b')}`, Body: 'x' }),
      );
      const kept = await put(storage, randomBytes(10));
      expect(await storage.sweepUnfinished(60_000)).toBe(0);
      // The test store reports that all uploads began years ago.
      await client.send(new CreateMultipartUploadCommand(name));
      expect(await storage.sweepUnfinished(-60_000)).toBe(2);
      expect(await uploadsUnder(prefix)).toEqual([]);
      expect((await keysUnder(prefix)).map(({ Key }) => Key)).toEqual([`${prefix}${kept}`]);
    });
  });

  test('isolates installations that share a bucket from each other and from foreign objects', async () => {
    const [one, other] = [await testStorage(), await testStorage()];
    const bytes = randomBytes(10);
    const key = await put(one.storage, bytes);
    for (const strange of ['originals/Not A Key', 'originals/', 'else/x', 'checks/x', 'incoming/1/x']) {
      await client.send(
        new PutObjectCommand({ Bucket: bucketName, Key: `${one.prefix}${strange}`, Body: 'x' }),
      );
    }
    expect(await listAll(one.storage)).toMatchObject([{ key, bytes: 10 }]);
    expect(await listAll(other.storage)).toEqual([]);
    expect(await other.storage.stat(key)).toBeUndefined();
    await other.storage.remove(key);
    expect(await one.storage.readAll(key)).toEqual(bytes);
  });

  test('lists more than one page', async () => {
    const { storage, prefix } = await testStorage();
    const keys = Array.from({ length: 1_050 }, (_, index) => originalKey(1, hashOf(Buffer.from(`${index}`))));
    await Promise.all(
      keys.map((key) =>
        client.send(new PutObjectCommand({ Bucket: bucketName, Key: `${prefix}${key}`, Body: 'x' })),
      ),
    );
    expect((await listAll(storage)).map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
  });

  describe('corrupted transfers', () => {
    test('is rejected by a store that verifies checksums', async () => {
      const proxy = await startProxy();
      const { storage } = await testStorage({ endpoint: proxy.url });
      proxy.fault('damages bodies');
      for (const size of [1_000, 2 ** 20]) {
        const bytes = randomBytes(size);
        await expect(
          storage.store([{ path: await stage(storage, bytes), key: keyOf(bytes) }], 'original'),
        ).rejects.toMatchObject({ ...failed, message: expect.stringContaining('BadDigest') });
        expect(await storage.stat(keyOf(bytes))).toBeUndefined();
      }
    });

    test('is detected when a whole file is read, and leaves no copy behind', async () => {
      const proxy = await startProxy();
      const { storage, staging } = await testStorage({ endpoint: proxy.url });
      const key = await put(storage, randomBytes(400_000));
      proxy.fault('damages bodies');
      await expect(storage.readAll(key)).rejects.toMatchObject(failed);
      await expect(storage.localCopy(key)).rejects.toMatchObject(failed);
      expect(await readdir(staging)).toEqual([]);
    });
  });

  describe('messages for operators', () => {
    test('report a missing bucket as such, not as a missing file', async () => {
      const { storage } = await testStorage({ bucket: 'no-such-bucket-here' });
      const told = { ...failed, message: expect.stringMatching(/NoSuchBucket.*S3_BUCKET/) };
      const bytes = randomBytes(10);
      const path = await stage(storage, bytes);
      await expect(storage.check()).rejects.toMatchObject(told);
      await expect(storage.probe()).rejects.toMatchObject(told);
      await expect(storage.store([{ path, key: nowhere }], 'original')).rejects.toMatchObject(told);
      await expect(storage.stat(nowhere)).rejects.toMatchObject(told);
      await expect(storage.readAll(nowhere)).rejects.toMatchObject(told);
      await expect(listAll(storage)).rejects.toMatchObject(told);
    });

    test('report a full store', async () => {
      const proxy = await startProxy();
      proxy.fault('quota');
      const { storage } = await testStorage({ endpoint: proxy.url });
      await expect(put(storage, randomBytes(10))).rejects.toMatchObject({
        code: 'storage_full',
        message: expect.stringContaining('QuotaExceeded'),
      });
    });

    test('contain neither keys nor addresses, and keep the cause', async () => {
      const { storage } = await testStorage({ bucket: 'no-such-bucket-here' });
      const error = (await storage.readAll(nowhere).catch((thrown: unknown) => thrown)) as Error;
      expect(error.message).not.toMatch(/no-such-bucket-here|originals|127\.0\.0\.1/);
      expect(error.cause).toBeInstanceOf(Error);
    });
  });
});

describe('an unreachable store', () => {
  test('fails every call within the timeout', async () => {
    const { storage } = await testStorage({ endpoint: 'http://127.0.0.1:9', timeoutMs: 2_000 });
    const began = performance.now();
    await expect(storage.check()).rejects.toMatchObject({
      ...failed,
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await expect(storage.stat(nowhere)).rejects.toMatchObject(failed);
    await expect(storage.readAll(nowhere)).rejects.toMatchObject(failed);
    expect(performance.now() - began).toBeLessThan(4_000 * timeScale);
  });
});
