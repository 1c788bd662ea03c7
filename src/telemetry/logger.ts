import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import type { Config } from '../config.ts';
import { redactQueries } from '../model/redact-url.ts';

type LoggerOptions = Pick<Config['log'], 'level' | 'format'> & Partial<Pick<Config['log'], 'secrets'>>;

/**
 * Creates the process's logger. It writes to standard output: one JSON object per line for log collectors, or coloured
 * text for a terminal.
 */
export async function makeLogger({ level, format, secrets = [] }: LoggerOptions): Promise<PinoLogger> {
  const isText = format === 'text' || (format === 'auto' && process.stdout.isTTY);
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // Credentials in attached errors and requests must not reach the log.
    redact: {
      paths: [
        '*.headers.authorization',
        '*.headers["x-api-key"]',
        '*.headers["x-confirm-token"]',
        '*.headers.cookie',
        '*.password',
        '*.connectionString',
      ],
      censor: '[hidden]',
    },
    hooks: { streamWrite: makeRedactLine(secrets) },
  };
  return isText ? pino(options, await makeTextStream()) : pino(options);
}

/**
 * Returns a function that redacts API keys, passwords and queries in URLs, and the secrets of this process anywhere in a
 * line: callers send them in the wrong place, such as a path.
 */
function makeRedactLine(secrets: readonly string[]): (line: string) => string {
  const forms = secrets.flatMap((secret) => [
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
  ]);
  return (line) => redactQueries(forms.reduce((text, form) => text.replaceAll(form, '[hidden]'), line));
}

/** Loads pino-pretty on demand, because only text logs need it. */
async function makeTextStream(): Promise<DestinationStream> {
  const { build } = await import('pino-pretty');
  return build({ sync: true, translateTime: 'SYS:HH:MM:ss', hideObject: true });
}
