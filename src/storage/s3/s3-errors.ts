import { AppError, FileMissing } from '../../errors.ts';
import { toWriteError } from '../storage-errors.ts';

/** The store exceeded the timeout. The SDK does not know this error and therefore does not retry. */
export class StorageTimeout extends Error {
  override readonly name = 'StorageTimeout';

  constructor(timeoutMs: number) {
    super(`The storage did not respond within ${timeoutMs / 1000} s.`);
  }
}

interface S3Error extends Error {
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Whether a call timed out. The SDK gives broken connections the same name, but with their error code. */
export function isTimeout(error: unknown): boolean {
  const { name, code } = error as S3Error;
  return name === 'TimeoutError' && (code === undefined || code === 'ETIMEDOUT');
}

/** Returns the HTTP status of the store's response, if there was one. */
export function httpStatus(error: unknown): number | undefined {
  return (error as S3Error).$metadata?.httpStatusCode;
}

/** Returns the store's error name, e.g. `NoSuchKey`, or a system error code, e.g. `ECONNREFUSED`; else `Error`. */
export function errorName(error: unknown): string {
  const { name, code } = error as S3Error;
  const raw = typeof code === 'string' ? code : name;
  // It is used in messages, and a store may send anything.
  return typeof raw === 'string' && /^\w[\w.-]{0,60}$/.test(raw) ? raw : 'Error';
}

/** Whether an error says that the object does not exist. A 404 from something other than a store does not. */
export function isMissingObject(error: unknown): boolean {
  return errorName(error) === 'NoSuchKey';
}

/** Whether the same call may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof StorageTimeout) return false;
  const status = httpStatus(error);
  if (status !== undefined) return status === 429 || (status >= 500 && status !== 501 && status !== 507);
  return ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT'].includes(errorName(error));
}

const fullErrors = new Set(['QuotaExceeded', 'XMinioStorageFull', 'InsufficientStorage']);

/** What an operator should check first, by error name. */
const hints: Readonly<Record<string, string>> = {
  NoSuchBucket: 'the bucket does not exist; check S3_BUCKET and S3_REGION',
  PermanentRedirect: 'the bucket is in another region; check S3_REGION',
  AuthorizationHeaderMalformed: 'the bucket is in another region; check S3_REGION',
  AccessDenied: 'the credentials lack a permission',
  InvalidAccessKeyId: 'the access key does not exist',
  SignatureDoesNotMatch: 'the secret key is wrong',
  ExpiredToken: 'the credentials have expired',
  CredentialsProviderError: 'no credentials were found',
  RequestTimeTooSkewed: 'the clock of this machine is wrong',
};

/** Converts an error of a call. The message contains no key, address or secret. */
export function toStorageError(error: unknown): unknown {
  if (error instanceof AppError || error instanceof FileMissing) return error;
  if (error instanceof StorageTimeout) return new AppError('storage_failed', error.message, { cause: error });
  if (isMissingObject(error)) return new FileMissing({ cause: error });
  const [name, cause] = [errorName(error), withoutSecrets(error)];
  if (fullErrors.has(name) || httpStatus(error) === 507) {
    return new AppError('storage_full', `The storage is full (${name}); nothing of this upload was kept.`, {
      cause,
    });
  }
  if (httpStatus(error) === undefined && isSystemError(error)) return toWriteError(error);
  const reason = hints[name] === undefined ? name : `${name}: ${hints[name]}`;
  return new AppError('storage_failed', `The storage failed (${reason}).`, { cause });
}

/** Whether the error is one of a file or a connection. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

/** Removes the signed data that a store returns with a rejected signature, so that it is not logged. */
function withoutSecrets(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  for (const field of Object.keys(error)) {
    if (/^(?:AWSAccessKeyId|Signature|StringToSign|CanonicalRequest|Token)/.test(field)) {
      Reflect.deleteProperty(error, field);
    }
  }
  return error;
}

/** Runs `work` and converts its errors with `toStorageError`. */
export async function withStorageErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error);
  }
}
