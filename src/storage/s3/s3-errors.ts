import { AppError, FileMissing } from '../../errors.ts';
import { toWriteError } from '../storage-errors.ts';

/**
 * Thrown if the store exceeds the timeout. The SDK only retries errors on its own list, which does not include this
 * error.
 */
export class StorageTimeout extends Error {
  override readonly name = 'StorageTimeout';

  constructor(timeoutMs: number) {
    super(`The store did not respond within ${timeoutMs / 1000} s.`);
  }
}

interface S3Error extends Error {
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/**
 * Whether a request timed out. The SDK uses the same error name for timeouts and lost connections. Only lost
 * connections have a code other than `ETIMEDOUT`.
 */
export function isTimeout(error: unknown): boolean {
  const { name, code } = error as S3Error;
  return name === 'TimeoutError' && (code === undefined || code === 'ETIMEDOUT');
}

/** Returns the HTTP status of the store's response, if it sent one. */
export function httpStatus(error: unknown): number | undefined {
  return (error as S3Error).$metadata?.httpStatusCode;
}

/** Returns the store's error name (e.g. `NoSuchKey`), a system error code (e.g. `ECONNREFUSED`) or `Error`. */
export function errorName(error: unknown): string {
  const { name, code } = error as S3Error;
  const rawName = typeof code === 'string' ? code : name;
  // The name is used in messages, but a store may send any text as the name.
  return typeof rawName === 'string' && /^\w[\w.-]{0,60}$/.test(rawName) ? rawName : 'Error';
}

/**
 * Whether an error means that the object does not exist. Status 404 alone is not enough, because the response may have
 * come from a proxy.
 */
export function isMissingObject(error: unknown): boolean {
  return errorName(error) === 'NoSuchKey';
}

/** Whether the request may succeed if it is repeated shortly afterwards. */
export function isTransient(error: unknown): boolean {
  if (error instanceof StorageTimeout) return false;
  const status = httpStatus(error);
  if (status !== undefined) return status === 429 || (status >= 500 && status !== 501 && status !== 507);
  return ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT'].includes(errorName(error));
}

const storeFullErrors = new Set(['QuotaExceeded', 'XMinioStorageFull', 'InsufficientStorage']);

/** Explanations and remedies for operators, by error name. */
const hints: Readonly<Record<string, string>> = {
  NoSuchBucket: 'the bucket does not exist; check S3_BUCKET and S3_REGION',
  PermanentRedirect: 'the bucket is in a different region; check S3_REGION',
  AuthorizationHeaderMalformed: 'the bucket is in a different region; check S3_REGION',
  AccessDenied: 'the credentials lack a permission',
  InvalidAccessKeyId: 'the access key does not exist',
  SignatureDoesNotMatch: 'the secret key is wrong',
  ExpiredToken: 'the credentials have expired',
  CredentialsProviderError: 'no credentials were found',
  RequestTimeTooSkewed: "this machine's clock is wrong",
};

/** Converts a request error. The message contains no key, address or secret. */
export function toStorageError(error: unknown): unknown {
  if (error instanceof AppError || error instanceof FileMissing) return error;
  if (error instanceof StorageTimeout) return new AppError('storage_failed', error.message, { cause: error });
  if (isMissingObject(error)) return new FileMissing({ cause: error });
  const [name, cause] = [errorName(error), withoutSecrets(error)];
  if (storeFullErrors.has(name) || httpStatus(error) === 507) {
    return new AppError('storage_full', `The store is full (${name}). The file was not stored.`, {
      cause,
    });
  }
  if (httpStatus(error) === undefined && isSystemError(error)) return toWriteError(error);
  const reason = hints[name] === undefined ? name : `${name}: ${hints[name]}`;
  return new AppError('storage_failed', `A storage operation failed (${reason}).`, { cause });
}

/** Whether the operating system reported the error, either for a file or for a connection. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

/** Removes the signed data, which must not be logged. A store includes it in its error when it rejects a signature. */
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
