import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { assertKey } from '../keys.ts';
import { isTimeout, StorageTimeout } from './s3-errors.ts';

/** The store's location and the timeout for requests. */
export interface S3ClientSettings {
  readonly region: string;
  /** `undefined` for AWS. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Maximum time to connect, to wait for a response, and to wait for the next packet, in milliseconds. */
  readonly timeoutMs: number;
}

/** Two clients that share connections but have different timeouts. */
interface S3Clients {
  /** For requests with a small body or without a body. The response must start within the timeout. */
  readonly client: S3Client;
  /** For large request bodies. The connection must not be idle for longer than the timeout. */
  readonly uploadClient: S3Client;
  close(): void;
}

/** Maximum number of connections to the store. Further requests wait for a free connection. */
const maxSockets = 64;

/** Maximum number of attempts per request. The SDK retries after status 429 or 5xx and after a lost connection. */
const maxAttempts = 3;

/** Creates the clients without connecting. Credentials come from the standard AWS variables, files or roles. */
export function makeS3Clients(settings: S3ClientSettings): S3Clients {
  const { timeoutMs } = settings;
  const agents = {
    httpAgent: new HttpAgent({ keepAlive: true, maxSockets }),
    httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets }),
  };
  const connectionTimeout = timeoutMs;
  const commonConfig = makeCommonConfig(settings);
  const client = new S3Client({
    ...commonConfig,
    // The socket timeout is disabled, because it would also abort a response that is read slowly.
    requestHandler: {
      ...agents,
      connectionTimeout,
      requestTimeout: timeoutMs,
      throwOnRequestTimeout: true,
      socketTimeout: 0,
    },
  });
  const uploadClient = new S3Client({
    ...commonConfig,
    credentials: client.config.credentials,
    requestHandler: { ...agents, connectionTimeout, requestTimeout: 0, socketTimeout: timeoutMs },
  });
  failOnTimeout(client, timeoutMs);
  failOnTimeout(uploadClient, timeoutMs);
  return {
    client,
    uploadClient,
    close() {
      client.destroy();
      uploadClient.destroy();
    },
  };
}

function makeCommonConfig({ region, endpoint, forcePathStyle }: S3ClientSettings): S3ClientConfig {
  return {
    region,
    forcePathStyle,
    ...(endpoint === undefined ? {} : { endpoint }),
    maxAttempts,
    // Every file is already sent with its SHA-256, and some stores do not support additional checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // With `Expect: 100-continue`, each large body would use a separate connection.
    expectContinueHeader: false,
    // By default, the SDK logs to the console.
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  };
}

/** Prevents retries after a timeout. With retries, a request could take several times as long as the timeout. */
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
  /** @see S3Clients */
  readonly client: S3Client;
  /** @see S3Clients */
  readonly uploadClient: S3Client;
  readonly name: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** Maximum time between two packets of a body, in milliseconds. */
  readonly timeoutMs: number;
}

/** The parameters that identify an object in commands. */
export interface ObjectName {
  readonly Bucket: string;
  readonly Key: string;
}

/** Combines clients and settings into a `Bucket`. */
export function makeBucket(
  { client, uploadClient }: S3Clients,
  config: { readonly bucket: string; readonly prefix: string; readonly timeoutMs: number },
): Bucket {
  const { bucket: name, prefix, timeoutMs } = config;
  return { client, uploadClient, name, prefix, timeoutMs };
}

/** Returns the command parameters for `key`. Throws if `key` is not a valid storage key. */
export function objectName({ name, prefix }: Bucket, key: string): ObjectName {
  assertKey(key);
  return { Bucket: name, Key: `${prefix}${key}` };
}
