import { describe } from 'vitest';
import { services } from '../../support/services.ts';
import { describeStorage } from '../storage-contract.ts';
import { truncateObject, rawClient, testStorage } from './support/bucket.ts';

describe.skipIf(!services.s3Endpoint)('on an S3-compatible store', () => {
  const client = rawClient();
  describeStorage('s3', async () => {
    const { storage, prefix } = await testStorage();
    return { storage, truncateFile: (key, bytes) => truncateObject(client, `${prefix}${key}`, bytes) };
  });
});
