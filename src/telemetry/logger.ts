import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import type { Config } from '../config.ts';
import { redactSecrets } from '../model/redact-url.ts';

/**
 * The log of the process, on standard output: a JSON object a line, as collectors expect it, or coloured lines for a
 * person at a terminal.
 */
export async function makeLogger({
  level,
  format,
}: Pick<Config['log'], 'level' | 'format'>): Promise<PinoLogger> {
  const asText = format === 'text' || (format === 'auto' && process.stdout.isTTY);
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // Credentials never reach a log, in whatever an error drags along.
    redact: {
      paths: ['*.headers.authorization', '*.headers.cookie', '*.password', '*.connectionString'],
      censor: '[hidden]',
    },
    // Signatures and passwords in URLs are redacted too, anywhere in a line.
    hooks: { streamWrite: redactSecrets },
  };
  return asText ? pino(options, await textStream()) : pino(options);
}

/** Loaded only for a terminal: no other start needs it. */
async function textStream(): Promise<DestinationStream> {
  const { build } = await import('pino-pretty');
  return build({ sync: true, translateTime: 'SYS:HH:MM:ss', hideObject: true });
}
