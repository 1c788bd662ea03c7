/** Turns the text of a variable into a value; throws a sentence that says what was wrong. */
export interface Reader<T> {
  /** What the variable accepts, in words: printed in errors and in the documentation. */
  readonly accepts: string;
  read(text: string): T;
}

const yes = new Set(['1', 'true', 'yes', 'on', 'y', 't']);
const no = new Set(['0', 'false', 'no', 'off', 'n', 'f']);

/** Whether `text` is a yes or a no in any of the usual words; `undefined` when it is neither. */
export function readYesNo(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (yes.has(word)) return true;
  return no.has(word) ? false : undefined;
}

export const yesNo: Reader<boolean> = {
  accepts: '`true` or `false` (also `1`/`0`, `yes`/`no`, `on`/`off`)',
  read(text) {
    const value = readYesNo(text);
    if (value === undefined) throw new Error('is neither yes nor no');
    return value;
  },
};

/** A whole number between `min` and `max`; `50e6` and `1_000` are numbers too. */
export function wholeNumber(min: number, max: number): Reader<number> {
  return {
    accepts: `a whole number from ${min} to ${max}`,
    read(text) {
      const value = Number(text.trim().replaceAll('_', '') || Number.NaN);
      if (!Number.isInteger(value)) throw new Error('is not a whole number');
      if (value < min || value > max) throw new Error('is out of range');
      return value;
    },
  };
}

/** A number from 0 to 1. */
export const fraction: Reader<number> = {
  accepts: 'a number from 0 to 1',
  read(text) {
    const value = Number(text.trim() || Number.NaN);
    if (!Number.isFinite(value)) throw new Error('is not a number');
    if (value < 0 || value > 1) throw new Error('is out of range');
    return value;
  },
};

/** One of `words`, in any case. */
export function oneOf<const T extends string>(words: readonly T[]): Reader<T> {
  return {
    accepts: words.map((word) => `\`${word}\``).join(', '),
    read(text) {
      const word = words.find((candidate) => candidate === text.trim().toLowerCase());
      if (word === undefined) throw new Error('is not one of these words');
      return word;
    },
  };
}

/** Single-line text, so that a header can carry it; surrounding spaces are ignored. */
export const printableText: Reader<string> = {
  accepts: 'text without control characters',
  read(text) {
    if (/\p{Cc}/u.test(text.trim())) throw new Error('has control characters');
    return text.trim();
  },
};

export const anyText: Reader<string> = { accepts: 'text', read: (text) => text };

const word = /(?:"[^"]*"|'[^']*'|[^\s"'])+/g;

/**
 * A program and its arguments. Quotes group words that contain spaces; nothing else is special, and no shell is
 * involved.
 */
export const commandWords: Reader<readonly string[]> = {
  accepts: 'a program and its arguments; quotes keep spaces together',
  read(text) {
    if (/["']/.test(text.replaceAll(/"[^"]*"|'[^']*'/g, ''))) throw new Error('has a quote without its end');
    const words = text.match(word) ?? [];
    return words.map((each) => each.replaceAll(/"([^"]*)"|'([^']*)'/g, '$1$2'));
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

/** Level of the log, in the words of Node's and of Python's world. */
export type LogLevel = (typeof levels)[keyof typeof levels];

export const logLevel: Reader<LogLevel> = {
  accepts:
    '`trace`, `debug`, `info`, `warn` (`warning`), `error`, `fatal` (`critical`) or `silent`, in any case',
  read(text) {
    const word = text.trim().toLowerCase();
    const level = Object.hasOwn(levels, word) ? levels[word as keyof typeof levels] : undefined;
    if (!level) throw new Error('is not a log level');
    return level;
  },
};
