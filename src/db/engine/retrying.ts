import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely, Transaction } from 'kysely';
import { AppError } from '../../errors.ts';
import type { Schema } from '../schema.ts';
import { errorCode } from './database-errors.ts';

/**
 * SQLSTATE codes of errors that only a concurrent transaction can cause: a serialization failure, a deadlock, or a constraint
 * violation because a row was removed or inserted after this transaction had checked for it. A retry sees the committed rows.
 */
const conflictStates = new Set(['40001', '40P01', '23503', '23505']);

/**
 * Maximum number of attempts. An error that persists after this many attempts was probably not caused by a concurrent
 * transaction.
 */
const maxAttempts = 8;

/** Longest possible pause before the second attempt. This limit doubles with each attempt, up to `maxPauseMs`. */
const firstPauseMs = 10;
const maxPauseMs = 320;

/**
 * Runs a transaction, and retries it from the beginning after a conflict with another transaction. PostgreSQL rolls back a
 * failed attempt, but cannot undo side effects outside the database. `work` may therefore have such side effects only after
 * its last statement.
 */
export function retryingTransaction<T>(
  db: Kysely<Schema>,
  work: (transaction: Transaction<Schema>) => Promise<T>,
): Promise<T> {
  return retrying(() => db.transaction().execute(work));
}

/** Runs a single statement or a whole transaction, and retries it after a conflict with another transaction. */
export async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (attempt === maxAttempts) throw error instanceof AppError ? error : rowsChangedError(error);
    }
    // The pause is random, because two transactions that deadlocked would otherwise collide again.
    await sleep(Math.random() * Math.min(maxPauseMs, firstPauseMs * 2 ** (attempt - 1)));
  }
}

/** Creates the error that a transaction throws if rows that it relied on have changed. The transaction is then retried. */
export function rowsChangedError(cause: unknown = serializationFailure()): AppError {
  return new AppError(
    'database_unavailable',
    'Another request changed the same rows at the same time; try again.',
    { cause },
  );
}

function serializationFailure(): Error {
  return Object.assign(new Error('Rows changed between two reads.'), { code: '40001' });
}

/** Whether a concurrent transaction caused the error. The SQLSTATE of an `AppError` is in its cause. */
function isConflict(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : error;
  return conflictStates.has(errorCode(cause));
}
