import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely, Transaction } from 'kysely';
import { AppError } from '../errors.ts';
import { codeOf } from './database-errors.ts';
import type { Schema } from './schema.ts';

/**
 * States of PostgreSQL that a transaction can reach only because of what another one did at the same moment: it was chosen
 * to end a deadlock or a conflict of versions, or a row that it had seen was removed or recorded before it wrote. Run
 * once more, it sees what the other one left.
 */
const raceStates = new Set(['40001', '40P01', '23503', '23505']);

/** Tries in all. Each lets one competitor finish; a state that outlasts them has another cause. */
const tries = 8;

/** Pause before the second try, at most; it doubles from try to try, up to `longestPauseMs`. */
const firstPauseMs = 10;
const longestPauseMs = 320;

/**
 * Runs a transaction, and runs it again from its beginning when it lost a race. Safe for work that has no effect outside
 * the database before its last statement: PostgreSQL has undone everything else when one of these errors arrives.
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
    // Random, or two that ended each other's deadlock would meet again.
    await sleep(Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1)));
  }
}

/** What a transaction throws when rows that it decided by have changed since: it is run again. */
export function changedMeanwhile(cause: unknown = conflict()): AppError {
  return new AppError('database_unavailable', 'Others changed the same rows at the same moment; try again.', {
    cause,
  });
}

function conflict(): Error {
  return Object.assign(new Error('Rows changed between two looks.'), { code: '40001' });
}

/** AppErrors have a code of their own; the state is then that of the cause. */
function isRace(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : error;
  return raceStates.has(codeOf(cause));
}
