import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely, Transaction } from 'kysely';
import { AppError } from '../../errors.ts';
import { codeOf } from './database-errors.ts';
import type { Schema } from '../schema.ts';

/**
 * PostgreSQL states that a transaction can reach only through a concurrent one: it was aborted to resolve a deadlock or
 * a serialization failure, or a row that it had read was removed or inserted before it wrote. A retry sees what the
 * other transaction left.
 */
const raceStates = new Set(['40001', '40P01', '23503', '23505']);

/** Attempts in all. Each lets one competitor finish; a state that outlasts them has another cause. */
const tries = 8;

/** Maximum pause before the second attempt; it doubles with each attempt, up to `longestPauseMs`. */
const firstPauseMs = 10;
const longestPauseMs = 320;

/**
 * Runs a transaction, and retries it from the beginning if it lost a race. Safe for work that has no effect outside the
 * database before its last statement: when one of these errors arrives, PostgreSQL has rolled back everything else.
 */
export function retryingTransaction<T>(
  db: Kysely<Schema>,
  work: (transaction: Transaction<Schema>) => Promise<T>,
): Promise<T> {
  return retrying(() => db.transaction().execute(work));
}

/** The same for a single statement, which is a transaction by itself. */
export async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isRace(error)) throw error;
      if (attempt === tries) throw error instanceof AppError ? error : changedMeanwhile(error);
    }
    // Random, or two transactions that deadlocked would collide again.
    await sleep(Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1)));
  }
}

/** Thrown by a transaction if rows on which it based a decision have changed since: it is retried. */
export function changedMeanwhile(cause: unknown = conflict()): AppError {
  return new AppError('database_unavailable', 'Others changed the same rows at the same moment; try again.', {
    cause,
  });
}

function conflict(): Error {
  return Object.assign(new Error('Rows changed between two looks.'), { code: '40001' });
}

/** AppErrors have their own code; the state is then in the cause. */
function isRace(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : error;
  return raceStates.has(codeOf(cause));
}
