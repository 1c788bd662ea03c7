import { AppError, StartRefused } from '../../errors.ts';

/** States of PostgreSQL after which a connection is of no more use. */
const lostStates = /^(?:08...|57P0[1235]|25006|26000)$/;

/** Codes of the system for a server that cannot be reached. */
const unreachable = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** What `pg` says without a code when a connection breaks or does not come about. */
const lostSentences =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Client (?:was closed|has encountered a connection error)|Query read timeout|Connection ended)/;

/** A plan of before a change of the schema: the statement works on a new connection. */
const stalePlan = /^cached plan must not change result type/;

/** What several at once can do to each other: the same again later works. */
const momentary: Readonly<Record<string, string>> = {
  '40001': 'Others changed the same rows at the same moment; try again.',
  '40P01': 'Others held the same rows in another order; try again.',
  '53200': 'The database has no memory left for this now; try again.',
  '53300': 'The database has no connection left; try again.',
  '55P03': 'Others held the same rows for too long; try again.',
  '57014': 'The database took longer than DATABASE_STATEMENT_SECONDS allows; try again.',
};

/** The code of PostgreSQL (five characters) or of the system; empty when there is none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Whether the connection on which `error` happened must be thrown away. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error);
  if (lostStates.test(code) || unreachable.has(code)) return true;
  const message = error instanceof Error ? error.message : '';
  return lostSentences.test(message) || stalePlan.test(message);
}

/** An error of the database as Vitrine names it: a server that is away is no bug. All others stay as they are. */
export function namedDatabaseError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const code = codeOf(error);
  if (code === '53100')
    return new AppError('storage_full', 'The disk of the database is full.', { cause: error });
  const sentence = momentary[code];
  if (sentence !== undefined) return new AppError('database_unavailable', sentence, { cause: error });
  if (!isConnectionLost(error)) return error;
  return new AppError('database_unavailable', 'The database cannot be reached now; try again.', {
    cause: error,
  });
}

/** The server cannot be used; the message says why, and what to do. */
export class DatabaseRefused extends StartRefused {
  override readonly name = 'DatabaseRefused';
}
