import { Upload } from '@aws-sdk/lib-storage';
import { createReadStream } from 'node:fs';
import type { Bucket } from './bucket.ts';
import { describeObject, type Put } from './put.ts';

const partBytes = 8 * 2 ** 20;

/** A store takes no more parts than this. */
const maxParts = 10_000;

/** Parts in memory at once. */
const partsAtOnce = 2;

/** A large file, part by part; each has its SHA-256. What a failure leaves is removed. */
export async function putInParts(bucket: Bucket, put: Put): Promise<void> {
  const { path, body } = put;
  const partSize = Math.max(partBytes, Math.ceil(body.bytes / maxParts));
  const content = createReadStream(path, { highWaterMark: 2 ** 20 });
  const upload = new Upload({
    client: bucket.uploads,
    // A condition counts when the parts are put together.
    params: { ...describeObject(bucket, put), Body: content, ChecksumAlgorithm: 'SHA256' },
    partSize,
    queueSize: partsAtOnce,
    leavePartsOnError: false,
  });
  try {
    await upload.done();
  } finally {
    content.destroy();
  }
}
