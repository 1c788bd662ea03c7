import { AppError, FileMissing } from '../../errors.ts';
import { namedWriteError } from '../storage-errors.ts';

/** The store was silent for longer than it may be. The library does not know this error, so it does not try again. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswer';

  constructor(timeoutMs: number) {
    super(`The storage did not answer within ${timeoutMs / 1000} s.`);
  }
}

interface S3Error extends Error {
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Whether the library ended a call because nothing came. It gives broken connections the same name, with their code. */
export function isSilence(error: unknown): boolean {
  const { name, code } = error as S3Error;
  return name === 'TimeoutError' && (code === undefined || code === 'ETIMEDOUT');
}

/** HTTP status that the store answered with, if it answered. */
export function statusOf(error: unknown): number | undefined {
  return (error as S3Error).$metadata?.httpStatusCode;
}

/** The store's name of its error, such as `NoSuchKey`; a system's code, such as `ECONNREFUSED`; else `Error`. */
export function nameOf(error: unknown): string {
  const { name, code } = error as S3Error;
  const given = typeof code === 'string' ? code : name;
  // It goes into sentences, and the store may send what it likes.
  return typeof given === 'string' && /^\w[\w.-]{0,60}$/.test(given) ? given : 'Error';
}

/** Whether an answer says that there is no such object. An answer 404 of something that is no store does not. */
export function isMissing(error: unknown): boolean {
  return nameOf(error) === 'NoSuchKey';
}

/** Whether the same call may succeed a moment later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof NoAnswerError) return false;
  const status = statusOf(error);
  if (status !== undefined) return status === 429 || (status >= 500 && status !== 501 && status !== 507);
  return ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT'].includes(nameOf(error));
}

const full = new Set(['QuotaExceeded', 'XMinioStorageFull', 'InsufficientStorage']);

/** What an operator looks at first. */
const advice: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket; see S3_BUCKET and S3_REGION',
  PermanentRedirect: 'the bucket is in another region; see S3_REGION',
  AuthorizationHeaderMalformed: 'the bucket is in another region; see S3_REGION',
  AccessDenied: 'the keys lack a right',
  InvalidAccessKeyId: 'the access key is not known there',
  SignatureDoesNotMatch: 'the secret key is not the right one',
  ExpiredToken: 'the keys have expired',
  CredentialsProviderError: 'no access key was found',
  RequestTimeTooSkewed: 'the clock of this machine is wrong',
};

/** What a call met, as an error that Vitrine names. The sentence has no key, no address and no secret in it. */
export function namedS3Error(error: unknown): unknown {
  if (error instanceof AppError || error instanceof FileMissing) return error;
  if (error instanceof NoAnswerError) return new AppError('storage_failed', error.message, { cause: error });
  if (isMissing(error)) return new FileMissing({ cause: error });
  const [name, cause] = [nameOf(error), withoutSecrets(error)];
  if (full.has(name) || statusOf(error) === 507) {
    return new AppError('storage_full', `The storage is full (${name}); nothing was kept of this upload.`, {
      cause,
    });
  }
  if (statusOf(error) === undefined && isSystemError(error)) return namedWriteError(error);
  const why = advice[name] === undefined ? name : `${name}: ${advice[name]}`;
  return new AppError('storage_failed', `The storage did not do its work (${why}).`, { cause });
}

/** Of a file or of a connection. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

/** A refused signature is answered with all that was signed. The log does not need it. */
function withoutSecrets(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  for (const field of Object.keys(error)) {
    if (/^(?:AWSAccessKeyId|Signature|StringToSign|CanonicalRequest|Token)/.test(field)) {
      Reflect.deleteProperty(error, field);
    }
  }
  return error;
}

/** Runs `work`; what it meets leaves it as `namedS3Error` names it. */
export async function namingErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw namedS3Error(error);
  }
}
