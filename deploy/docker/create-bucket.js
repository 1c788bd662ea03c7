// Creates the bucket that S3_BUCKET names, unless it is there. Waits for a store that is still starting.
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';

const patienceMs = 60_000;
const { S3_BUCKET: bucket, S3_ENDPOINT: endpoint, S3_REGION: region = 'us-east-1' } = process.env;
const client = new S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1 });

async function ensureBucket() {
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }));
    return 'is there';
  } catch (error) {
    if (error.$metadata?.httpStatusCode !== 404) throw error;
  }
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return 'was created';
}

/** Keys that are refused stay refused; everything else may be a store that is not ready. */
async function patiently(work) {
  for (const deadline = Date.now() + patienceMs; ; await sleep(1_000)) {
    try {
      return await work();
    } catch (error) {
      const isRefused = [400, 401, 403].includes(error.$metadata?.httpStatusCode);
      if (isRefused || Date.now() > deadline) throw error;
    }
  }
}

if (!bucket) throw new Error('S3_BUCKET is not set.');
process.stdout.write(`The bucket ${bucket} ${await patiently(ensureBucket)}.\n`);
