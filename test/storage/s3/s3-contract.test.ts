import { describe } from 'vitest';
import { services } from '../../support/services.ts';
import { describeStorage } from '../storage-contract.ts';
import { truncateObject, makeRawClient, testStorage } from './support/bucket.ts';

describe.skipIf(!services.s3Endpoint)('on an S3-compatible store', () => {
  const client = makeRawClient();
  describeStorage('s3', async () => {
    const { storage, prefix } = await testStorage();
    return { storage, truncateFile: (key, bytes) => truncateObject(client, `${prefix}${key}`, bytes) };
  });
});
