import type { Reader } from './readers.ts';

/** One environment variable: everything that the loader and the documentation know about it. */
export interface Setting<T> {
  readonly name: string;
  /** Older names of the same variable. The first name that is set wins. */
  readonly aliases: readonly string[];
  /** What it does, as a sentence in Markdown. */
  readonly about: string;
  readonly reader: Reader<T>;
  /** Text to read when the variable is unset or empty. `undefined`: the value is then `undefined`. */
  readonly fallback: string | undefined;
  /** The default in the documentation, where `fallback` depends on the machine or on other settings. */
  readonly fallbackWords?: string;
  /** The value may contain a password, so no message repeats it. */
  readonly isSecret?: boolean;
}

/** Settings by the name of their property in the configuration. */
export type Section = Readonly<Record<string, Setting<unknown>>>;

/** The values of a section, by property. */
export type ValuesOf<S extends Section> = {
  readonly [Key in keyof S]: S[Key] extends Setting<infer T> ? T : never;
};

type Words = Pick<Setting<unknown>, 'about' | 'fallbackWords' | 'isSecret'> & { aliases?: readonly string[] };

/** A setting that always has a value. */
export function withDefault<T>(name: string, reader: Reader<T>, fallback: string, words: Words) {
  return { name, reader, fallback, aliases: [], ...words } satisfies Setting<T>;
}

/** A setting that may be left out. */
export function optional<T>(name: string, reader: Reader<T>, words: Words) {
  const orUndefined: Reader<T | undefined> = reader;
  return { name, reader: orUndefined, fallback: undefined, aliases: [], ...words } satisfies Setting<
    T | undefined
  >;
}
