import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import type { Config } from '../config.ts';
import { redactSecrets } from '../model/redact-url.ts';

/**
 * Creates the process's logger. It writes to standard output: one JSON object per line for log collectors, or coloured
 * text for a terminal.
 */
export async function makeLogger({
  level,
  format,
}: Pick<Config['log'], 'level' | 'format'>): Promise<PinoLogger> {
  const isText = format === 'text' || (format === 'auto' && process.stdout.isTTY);
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // Credentials in attached errors and requests must not reach the log.
    redact: {
      paths: ['*.headers.authorization', '*.headers.cookie', '*.password', '*.connectionString'],
      censor: '[hidden]',
    },
    // This redacts signatures and passwords in URLs anywhere in a line.
    hooks: { streamWrite: redactSecrets },
  };
  return isText ? pino(options, await makeTextStream()) : pino(options);
}

/** Loads pino-pretty on demand, because only text logs need it. */
async function makeTextStream(): Promise<DestinationStream> {
  const { build } = await import('pino-pretty');
  return build({ sync: true, translateTime: 'SYS:HH:MM:ss', hideObject: true });
}
