import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely, Transaction } from 'kysely';
import { AppError } from '../../errors.ts';
import type { Schema } from '../schema.ts';
import { codeOf } from './database-errors.ts';

/**
 * SQLSTATE codes that only a concurrent transaction can cause: a serialization failure, a deadlock, or a row that was
 * removed or inserted between this transaction's read and its write. A retry sees what the other transaction committed.
 */
const raceStates = new Set(['40001', '40P01', '23503', '23505']);

/** Each attempt lets one competitor finish. An error that outlasts them all has another cause. */
const maxAttempts = 8;

/** Maximum pause before the second attempt. It doubles with each attempt, up to `maxPauseMs`. */
const firstPauseMs = 10;
const maxPauseMs = 320;

/**
 * Runs a transaction; retries it from the beginning if it lost a race. PostgreSQL rolls back a failed attempt, so `work`
 * may have effects outside the database only after its last statement.
 */
export function retryingTransaction<T>(
  db: Kysely<Schema>,
  work: (transaction: Transaction<Schema>) => Promise<T>,
): Promise<T> {
  return retrying(() => db.transaction().execute(work));
}

/** The same for a single statement, which is a transaction of its own. */
export async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isRace(error)) throw error;
      if (attempt === maxAttempts) throw error instanceof AppError ? error : rowsChanged(error);
    }
    // Random, because two transactions that deadlocked would otherwise meet again.
    await sleep(Math.random() * Math.min(maxPauseMs, firstPauseMs * 2 ** (attempt - 1)));
  }
}

/** Returns the error by which a transaction asks for a retry: rows that it relied on have changed. */
export function rowsChanged(cause: unknown = serializationFailure()): AppError {
  return new AppError(
    'database_unavailable',
    'Another request changed the same rows at the same time; try again.',
    { cause },
  );
}

function serializationFailure(): Error {
  return Object.assign(new Error('Rows changed between two reads.'), { code: '40001' });
}

/** An `AppError` has the SQLSTATE in its cause. */
function isRace(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : error;
  return raceStates.has(codeOf(cause));
}
