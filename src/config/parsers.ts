/**
 * Parses the text of a variable. If the text is invalid, throws an error whose message completes the sentence
 * "The value …".
 */
export interface Parser<T> {
  /** What the variable accepts, for error messages and the documentation. */
  readonly accepts: string;
  parse(text: string): T;
}

const yesWords = new Set(['1', 'true', 'yes', 'on', 'y', 't']);
const noWords = new Set(['0', 'false', 'no', 'off', 'n', 'f']);

/** Parses a boolean in any of the usual spellings. Returns `undefined` for other text. */
export function parseYesNo(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (yesWords.has(word)) return true;
  return noWords.has(word) ? false : undefined;
}

/** A boolean. */
export const yesNo: Parser<boolean> = {
  accepts: '`true` or `false` (also `1`/`0`, `yes`/`no`, `on`/`off`)',
  parse(text) {
    const value = parseYesNo(text);
    if (value === undefined) throw new Error('is not a boolean');
    return value;
  },
};

/** A whole number from `min` to `max`. Also accepts forms such as `50e6` and `1_000`. */
export function wholeNumber(min: number, max: number): Parser<number> {
  return {
    accepts: `a whole number from ${min} to ${max}`,
    parse(text) {
      const value = Number(text.trim().replaceAll('_', '') || Number.NaN);
      if (!Number.isInteger(value)) throw new Error('is not a whole number');
      if (value < min || value > max) throw new Error('is out of range');
      return value;
    },
  };
}

const anyLimit = wholeNumber(1, Number.MAX_SAFE_INTEGER);

/** A limit; `none` is parsed as `null`. 0 is rejected, because elsewhere it means that there is no limit. */
export const limitOrNone: Parser<number | null> = {
  accepts: `${anyLimit.accepts}, or \`none\``,
  parse: (text) => (text.trim().toLowerCase() === 'none' ? null : anyLimit.parse(text)),
};

/** A whole number of seconds from `min` to `max`, converted to milliseconds. */
export const seconds = (min: number, max: number): Parser<number> => scaleParser(wholeNumber(min, max), 1000);

/** A whole number of MiB from `min` to `max`, converted to bytes. */
export const mebibytes = (min: number, max: number): Parser<number> =>
  scaleParser(wholeNumber(min, max), 2 ** 20);

function scaleParser(parser: Parser<number>, factor: number): Parser<number> {
  return { accepts: parser.accepts, parse: (text) => parser.parse(text) * factor };
}

/** A number from 0 to 1. */
export const fraction: Parser<number> = {
  accepts: 'a number from 0 to 1',
  parse(text) {
    const value = Number(text.trim() || Number.NaN);
    if (!Number.isFinite(value)) throw new Error('is not a number');
    if (value < 0 || value > 1) throw new Error('is out of range');
    return value;
  },
};

/** One of `words`, case-insensitive. */
export function oneOf<const T extends string>(words: readonly T[]): Parser<T> {
  return {
    accepts: words.map((word) => `\`${word}\``).join(', '),
    parse(text) {
      const word = words.find((candidate) => candidate === text.trim().toLowerCase());
      if (word === undefined) throw new Error('is not one of the allowed values');
      return word;
    },
  };
}

/** Text that can be sent in an HTTP header. Surrounding spaces are ignored. */
export const printableText: Parser<string> = {
  accepts: 'text without control characters',
  parse(text) {
    if (/\p{Cc}/u.test(text.trim())) throw new Error('contains control characters');
    return text.trim();
  },
};

/** Minimum length of a secret: an attacker who has a hash or a signature can try guesses without limit. */
export const minSecretLength = 32;

/** A secret that can be sent as a bearer token. A short one is accepted here, because it only matters if keys are used. */
export const bearerSecret: Parser<string> = {
  accepts: `at least ${minSecretLength} printable ASCII characters without spaces`,
  parse(text) {
    const secret = text.trim();
    if (!/^[!-~]*$/.test(secret)) throw new Error('contains spaces or characters other than printable ASCII');
    return secret;
  },
};

/** Secrets separated by commas. Weak ones are accepted here, because they only matter if keys or links are used. */
export const secretList: Parser<readonly string[]> = {
  accepts: `secrets of at least ${minSecretLength} characters, separated by commas`,
  parse: (text) => [...new Set(text.split(',').map((secret) => secret.trim()))].filter(Boolean),
};

/** Text without restrictions. */
export const anyText: Parser<string> = { accepts: 'text', parse: (text) => text };

const shellWord = /(?:"[^"]*"|'[^']*'|[^\s"'])+/g;

/** A program and its arguments. An argument that contains spaces must be quoted. No other shell syntax is supported. */
export const commandWords: Parser<readonly string[]> = {
  accepts: 'a program and its arguments; quote an argument that contains spaces',
  parse(text) {
    if (/["']/.test(text.replaceAll(/"[^"]*"|'[^']*'/g, ''))) throw new Error('contains an unclosed quote');
    const words = text.match(shellWord) ?? [];
    return words.map((word) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, '$1$2'));
  },
};

const levels = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  notice: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  critical: 'fatal',
  fatal: 'fatal',
  silent: 'silent',
} as const;

/** A log level of pino. The setting also accepts Python's level names. */
export type LogLevel = (typeof levels)[keyof typeof levels];

/** A log level, case-insensitive. */
export const logLevel: Parser<LogLevel> = {
  accepts:
    '`trace`, `debug`, `info`, `warn` (`warning`), `error`, `fatal` (`critical`) or `silent`; upper or lower case',
  parse(text) {
    const word = text.trim().toLowerCase();
    const level = Object.hasOwn(levels, word) ? levels[word as keyof typeof levels] : undefined;
    if (!level) throw new Error('is not a log level');
    return level;
  },
};
