import { randomUUID } from 'node:crypto';
import { services } from '../services.ts';

/** Keys that the store of these tests takes. */
export const s3Keys = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };

/** Settings of a server that keeps its pictures in the store of these tests, under a prefix of its own. */
export function s3Environment(more: Record<string, string> = {}): Record<string, string> {
  return {
    ...s3Keys,
    STORAGE_TYPE: 's3',
    S3_BUCKET: services.s3Bucket,
    S3_ENDPOINT: services.s3Endpoint ?? '',
    S3_PREFIX: `test-${randomUUID()}/`,
    ...more,
  };
}
