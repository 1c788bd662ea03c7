/** Number of rounds per fault. */
export const faultRounds = Number(process.env['FAULT_ROUNDS'] ?? 20);

/** Shell commands that kill and start the PostgreSQL test server. */
export const postgresCommands = {
  kill: process.env['FAULT_POSTGRES_KILL'],
  start: process.env['FAULT_POSTGRES_START'],
} as const;
