import { AppError, StartupError } from '../../errors.ts';

/** Matches the SQLSTATE codes after which a connection is unusable. */
const lostConnectionStates = /^(?:08...|57P0[1235]|25006|26000)$/;

/** System error codes that mean that the server cannot be reached. */
const unreachableCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** Matches `pg` error messages for a connection that was lost or could not be opened. These errors have no code. */
const lostConnectionMessages =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Client (?:was closed|has encountered a connection error)|Query read timeout|Connection ended)/;

/**
 * Matches the error for a prepared statement that was planned before a schema change. On a new connection, the statement is
 * prepared again and works.
 */
const stalePlanMessage = /^cached plan must not change result type/;

/** Messages by SQLSTATE code, for errors caused by load or other transactions. The same request may succeed later. */
const transientMessages: Readonly<Record<string, string>> = {
  '40001': 'Another request changed the same rows at the same time; try again.',
  '40P01': 'Another request locked the same rows in a different order; try again.',
  '53200': 'The database is out of memory; try again.',
  '53300': 'The database has no free connections; try again.',
  '55P03': 'Another request held a lock on the same rows for too long; try again.',
  '57014': 'The statement exceeded DATABASE_STATEMENT_SECONDS; try again.',
};

/** Returns an error's SQLSTATE code (five characters) or system error code, or an empty string if the error has neither. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Returns whether the connection must be destroyed after `error`. */
export function isConnectionLost(error: unknown): boolean {
  const code = errorCode(error);
  if (lostConnectionStates.test(code) || unreachableCodes.has(code)) return true;
  const message = error instanceof Error ? error.message : '';
  return lostConnectionMessages.test(message) || stalePlanMessage.test(message);
}

/** Converts an expected error, such as a lost connection, to an `AppError`. Returns any other error unchanged. */
export function toAppError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const code = errorCode(error);
  if (code === '53100') return new AppError('storage_full', 'The database disk is full.', { cause: error });
  const message = transientMessages[code];
  if (message !== undefined) return new AppError('database_unavailable', message, { cause: error });
  if (!isConnectionLost(error)) return error;
  return new AppError('database_unavailable', 'The database cannot be reached; try again.', { cause: error });
}

/** Thrown at startup if the database cannot be used. The message contains the reason and a remedy. */
export class DatabaseUnusable extends StartupError {
  override readonly name = 'DatabaseUnusable';
}
