import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { assertKey } from '../keys.ts';
import { isSilence, NoAnswerError } from './s3-errors.ts';

/** Where the bucket is, and how long to wait for it. */
export interface S3ClientSettings {
  readonly region: string;
  /** `undefined`: AWS's own. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Longest wait for a connection, for an answer, and between two packets, in milliseconds. */
  readonly timeoutMs: number;
}

/** Two clients over the same connections: they differ in what they take for silence. */
interface S3Clients {
  /** For calls with a small body or none: the answer begins within the time. */
  readonly calls: S3Client;
  /** For bodies that take long to send: bytes move within the time. */
  readonly uploads: S3Client;
  close(): void;
}

/** Most connections to the store; further calls wait for one. */
const maxSockets = 64;

/** Tries of a call that meets an error 5xx, too many requests, or a broken connection. */
const maxAttempts = 3;

/** Keys come from AWS's own variables, files or roles. Nothing is connected yet. */
export function makeS3Clients(settings: S3ClientSettings): S3Clients {
  const { timeoutMs } = settings;
  const agents = {
    httpAgent: new HttpAgent({ keepAlive: true, maxSockets: maxSockets }),
    httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: maxSockets }),
  };
  const connectionTimeout = timeoutMs;
  const common = commonConfig(settings);
  const calls = new S3Client({
    ...common,
    // A socket timeout of the library would also end a body whose reader is slow.
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
  for (const client of [calls, uploads]) giveUpOnSilence(client, timeoutMs);
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
    maxAttempts: maxAttempts,
    // SHA-256 is sent with every file. Checksums beside it are not understood by each store.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // A connection of its own for each large body would be the price.
    expectContinueHeader: false,
    // The library would otherwise write to the console.
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  };
}

/** A store that is silent is not asked again in the same call: the wait would be a multiple of the time given. */
function giveUpOnSilence(client: S3Client, timeoutMs: number): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        throw isSilence(error) ? new NoAnswerError(timeoutMs) : error;
      }
    },
    { step: 'deserialize', priority: 'high', name: 'giveUpOnSilence' },
  );
}

/** The part of a bucket that belongs to this installation. */
export interface Bucket {
  readonly calls: S3Client;
  readonly uploads: S3Client;
  readonly name: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  /** Longest wait between two packets of a body, in milliseconds. */
  readonly timeoutMs: number;
}

/** How commands name a bucket and an object in it. */
export interface ObjectName {
  readonly Bucket: string;
  readonly Key: string;
}

/** @see Bucket */
export function makeBucket(
  { calls, uploads }: S3Clients,
  config: { readonly bucket: string; readonly prefix: string; readonly timeoutMs: number },
): Bucket {
  return { calls, uploads, name: config.bucket, prefix: config.prefix, timeoutMs: config.timeoutMs };
}

/** @throws when `key` is no storage key. */
export function objectName({ name, prefix }: Bucket, key: string): ObjectName {
  assertKey(key);
  return { Bucket: name, Key: `${prefix}${key}` };
}
