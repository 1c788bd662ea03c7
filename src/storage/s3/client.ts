import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { assertKey } from '../keys.ts';
import { isTimeout, StorageTimeout } from './s3-errors.ts';

/** Address of the bucket, and timeouts. */
export interface S3ClientSettings {
  readonly region: string;
  /** `undefined` for AWS. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Longest wait for a connection, for a response, and between two packets, in milliseconds. */
  readonly timeoutMs: number;
}

/** Two clients that share connections and differ in their timeouts. */
interface S3Clients {
  /** For calls with a small body or none: the response must start within the timeout. */
  readonly calls: S3Client;
  /** For large request bodies: data must be transferred within each timeout. */
  readonly uploads: S3Client;
  close(): void;
}

/** Maximum number of connections to the store. Further calls wait for a free one. */
const maxSockets = 64;

/** Attempts per call, for 5xx errors, 429 and broken connections. */
const maxAttempts = 3;

/** Creates the clients without connecting. Credentials come from the usual AWS variables, files or roles. */
export function makeS3Clients(settings: S3ClientSettings): S3Clients {
  const { timeoutMs } = settings;
  const agents = {
    httpAgent: new HttpAgent({ keepAlive: true, maxSockets }),
    httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets }),
  };
  const connectionTimeout = timeoutMs;
  const common = commonConfig(settings);
  const calls = new S3Client({
    ...common,
    // The SDK's socket timeout would also abort a response body whose reader is slow.
    requestHandler: {
      ...agents,
      connectionTimeout,
      requestTimeout: timeoutMs,
      throwOnRequestTimeout: true,
      socketTimeout: 0,
    },
  });
  const uploads = new S3Client({
    ...common,
    credentials: calls.config.credentials,
    requestHandler: { ...agents, connectionTimeout, requestTimeout: 0, socketTimeout: timeoutMs },
  });
  for (const client of [calls, uploads]) failOnTimeout(client, timeoutMs);
  return {
    calls,
    uploads,
    close() {
      calls.destroy();
      uploads.destroy();
    },
  };
}

function commonConfig({ region, endpoint, forcePathStyle }: S3ClientSettings): S3ClientConfig {
  return {
    region,
    forcePathStyle,
    ...(endpoint === undefined ? {} : { endpoint }),
    maxAttempts,
    // Every file is sent with its SHA-256. Not every store supports additional checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // `Expect: 100-continue` would cost a separate connection for each large body.
    expectContinueHeader: false,
    // By default, the SDK writes to the console.
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  };
}

/** Prevents retries after a timeout, because a call would then take a multiple of the timeout. */
function failOnTimeout(client: S3Client, timeoutMs: number): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        throw isTimeout(error) ? new StorageTimeout(timeoutMs) : error;
      }
    },
    { step: 'deserialize', priority: 'high', name: 'failOnTimeout' },
  );
}

/** The part of a bucket that belongs to this installation. */
export interface Bucket {
  readonly calls: S3Client;
  readonly uploads: S3Client;
  readonly name: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** Longest wait between two packets of a body, in milliseconds. */
  readonly timeoutMs: number;
}

/** The bucket and key parameters of commands. */
export interface ObjectName {
  readonly Bucket: string;
  readonly Key: string;
}

/** Creates a bucket from its clients and settings. */
export function makeBucket(
  { calls, uploads }: S3Clients,
  config: { readonly bucket: string; readonly prefix: string; readonly timeoutMs: number },
): Bucket {
  return { calls, uploads, name: config.bucket, prefix: config.prefix, timeoutMs: config.timeoutMs };
}

/** Returns the command parameters for `key`. Throws if it is not a valid storage key. */
export function objectName({ name, prefix }: Bucket, key: string): ObjectName {
  assertKey(key);
  return { Bucket: name, Key: `${prefix}${key}` };
}
