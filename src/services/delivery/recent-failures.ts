import { LRUCache } from 'lru-cache';
import { AppError } from '../../errors.ts';

/** Caches failures to make variants, so that a picture that cannot be decoded is not decoded again for every request. */
export interface RecentFailures {
  /** @throws {AppError} the error of the last attempt, if it failed recently */
  assertNone(key: string): void;
  add(key: string, error: AppError): void;
  remove(key: string): void;
}

interface Failure {
  readonly error: AppError;
  /** Number of failures in a row. */
  readonly count: number;
  /** When the variant may be retried, comparable with `performance.now()`. */
  readonly endTime: number;
}

const maxFailures = 10_000;

/** Back-off after a failure. It quadruples with each consecutive failure, as in `db/renditions/variant-claims.ts`. */
const firstPauseMs = 60_000;
const maxPauseMs = 3_600_000;

/** Whether another attempt with the same picture would probably fail in the same way. */
export function isLasting({ code, failureClass }: AppError): boolean {
  // A missing original may be restored at any time, and checking for it is cheap.
  return code !== 'original_missing' && (failureClass === 'permanent' || failureClass === 'crash');
}

/** @see RecentFailures */
export function makeRecentFailures(): RecentFailures {
  const failures = new LRUCache<string, Failure>({ max: maxFailures });
  return {
    assertNone(key) {
      const failure = failures.get(key);
      const remainingMs = (failure?.endTime ?? 0) - performance.now();
      if (failure && remainingMs > 0) throw repeatFailure(failure.error, Math.ceil(remainingMs / 1000));
    },
    add(key, error) {
      const count = (failures.get(key)?.count ?? 0) + 1;
      const pauseMs = Math.min(maxPauseMs, firstPauseMs * 4 ** (count - 1));
      failures.set(key, { error, count, endTime: performance.now() + pauseMs });
    },
    remove: (key) => void failures.delete(key),
  };
}

/** Returns the error of an earlier attempt, with the time until the next one. */
export function repeatFailure(error: AppError, retryAfterSeconds: number): AppError {
  return new AppError(error.code, error.message, { cause: error, retryAfterSeconds });
}
