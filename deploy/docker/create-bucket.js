// Creates the bucket whose name is in S3_BUCKET, unless it exists. Waits if the store is still starting.
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';

const timeoutMs = 60_000;
const { S3_BUCKET: bucket, S3_ENDPOINT: endpoint, S3_REGION: region = 'us-east-1' } = process.env;
const client = new S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1 });

async function ensureBucket() {
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }));
    return 'exists';
  } catch (error) {
    if (error.$metadata?.httpStatusCode !== 404) throw error;
  }
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return 'was created';
}

/**
 * Retries `task` for up to a minute, because the store may not be ready. Does not retry if the store rejects
 * the request.
 */
async function retry(task) {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(1_000)) {
    try {
      return await task();
    } catch (error) {
      const isRejected = [400, 401, 403].includes(error.$metadata?.httpStatusCode);
      if (isRejected || Date.now() > deadline) throw error;
    }
  }
}

if (!bucket) throw new Error('S3_BUCKET is not set.');
process.stdout.write(`The bucket ${bucket} ${await retry(ensureBucket)}.\n`);
