import { pino, stdTimeFunctions, type Logger as PinoLogger } from 'pino';
import type { LogLevel } from '../config/readers.ts';

/** The log of the process: one JSON object a line on standard output, as collectors expect it. */
export function makeLogger(level: LogLevel): PinoLogger {
  return pino({
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // Credentials never reach a log, in whatever an error drags along.
    redact: {
      paths: ['*.headers.authorization', '*.headers.cookie', '*.password', '*.connectionString'],
      censor: '[hidden]',
    },
  });
}
