import { randomUUID } from 'node:crypto';
import { services } from '../services.ts';

/** Credentials that the test store accepts. */
export const s3Keys = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };

/** Returns the settings of a server that stores its pictures in the test store, under a unique prefix. */
export function s3Environment(overrides: Record<string, string> = {}): Record<string, string> {
  return {
    ...s3Keys,
    STORAGE_TYPE: 's3',
    S3_BUCKET: services.s3Bucket,
    S3_ENDPOINT: services.s3Endpoint ?? '',
    S3_PREFIX: `test-${randomUUID()}/`,
    ...overrides,
  };
}
