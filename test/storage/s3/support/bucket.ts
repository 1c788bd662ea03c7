import { randomUUID } from 'node:crypto';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, onTestFinished } from 'vitest';
import { makeS3Storage, type S3StorageSettings } from '../../../../src/storage/s3/s3-storage.ts';
import type { Storage } from '../../../../src/storage/storage.ts';
import { testFolder } from '../../../support/inner/folders.ts';
import { services } from '../../../support/services.ts';

/** The SDK requires credentials in the environment. The test store accepts any credentials. */
process.env['AWS_ACCESS_KEY_ID'] ??= 'test';
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test';

export const bucketName = services.s3Bucket;

/** Returns a client with which tests inspect the bucket and damage its objects. */
export function makeRawClient(): S3Client {
  const client = makeClient();
  afterAll(() => client.destroy());
  return client;
}

function makeClient(): S3Client {
  const endpoint = services.s3Endpoint ?? 'http://127.0.0.1:9';
  return new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true });
}

/** Returns settings with a unique prefix, changed by `overrides`. */
export async function testSettings(overrides: Partial<S3StorageSettings> = {}): Promise<S3StorageSettings> {
  return {
    bucket: bucketName,
    region: 'us-east-1',
    endpoint: services.s3Endpoint ?? 'http://127.0.0.1:9',
    forcePathStyle: true,
    prefix: `test-${randomUUID()}/`,
    timeoutMs: 5_000,
    presignSeconds: 60,
    stagingPath: await testFolder(),
    ...overrides,
  };
}

/** Opens a store for one test. The store is empty unless `overrides` contains the prefix of an existing store. */
export async function testStorage(
  overrides: Partial<S3StorageSettings> = {},
): Promise<{ readonly storage: Storage; readonly prefix: string; readonly staging: string }> {
  const settings = await testSettings(overrides);
  const storage = await makeS3Storage(settings);
  onTestFinished(() => storage.close());
  if (services.s3Endpoint) onTestFinished(() => emptyPrefix(settings.prefix));
  return { storage, prefix: settings.prefix, staging: settings.stagingPath };
}

/** Removes all objects with a prefix, because the test store keeps them in memory. */
async function emptyPrefix(prefix: string): Promise<void> {
  const client = makeClient();
  let isEmpty = false;
  while (!isEmpty) {
    const page = await client.send(new ListObjectsV2Command({ Bucket: bucketName, Prefix: prefix }));
    const Objects = page.Contents?.map(({ Key }) => ({ Key })) ?? [];
    if (Objects.length > 0) {
      await client.send(new DeleteObjectsCommand({ Bucket: bucketName, Delete: { Objects, Quiet: true } }));
    }
    isEmpty = page.IsTruncated !== true;
  }
  client.destroy();
}

/** Truncates an object to `bytes` bytes. */
export async function truncateObject(client: S3Client, key: string, bytes: number): Promise<void> {
  const object = { Bucket: bucketName, Key: key };
  const { Body } = await client.send(new GetObjectCommand(object));
  const content = await Body?.transformToByteArray();
  await client.send(new PutObjectCommand({ ...object, Body: content?.subarray(0, bytes) ?? '' }));
}
