import { describe } from 'vitest';
import { services } from '../../support/services.ts';
import { describeStorage } from '../storage-contract.ts';
import { cutObject, rawClient, testStorage } from './support/bucket.ts';

describe.skipIf(!services.s3Endpoint)('on an S3-compatible store', () => {
  const client = rawClient();
  describeStorage('s3', async () => {
    const { storage, prefix } = await testStorage();
    return { storage, cut: (key, bytes) => cutObject(client, `${prefix}${key}`, bytes) };
  });
});
