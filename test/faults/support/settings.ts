/** How often each fault happens; `FAULT_ROUNDS` says it. */
export const faultRounds = Number(process.env['FAULT_ROUNDS'] ?? 20);

/** Shell commands that kill the PostgreSQL server of the tests, and start it again. */
export const postgresCommands = {
  kill: process.env['FAULT_POSTGRES_KILL'],
  start: process.env['FAULT_POSTGRES_START'],
} as const;
