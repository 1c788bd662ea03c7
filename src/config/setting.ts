import type { Parser } from './parsers.ts';

/** An environment variable, with everything that the loader and the documentation need. */
export interface Setting<T> {
  readonly name: string;
  /** Alternative names of the variable. The first name that is set is used. */
  readonly aliases: readonly string[];
  /** What the setting does, in Markdown. */
  readonly about: string;
  readonly parser: Parser<T>;
  /** Text to parse if the variable is unset or empty. Without a fallback, the value is `undefined` in that case. */
  readonly fallback: string | undefined;
  /** Description of the default, if the default depends on the machine or on other settings. */
  readonly fallbackDescription?: string;
  /** Whether the value may contain a secret. If so, messages must not contain the value. */
  readonly isSecret?: boolean;
}

/** Settings by their property name in the configuration. */
export type Section = Readonly<Record<string, Setting<unknown>>>;

/** The values of a section, by property name. */
export type ValuesOf<S extends Section> = {
  readonly [Key in keyof S]: S[Key] extends Setting<infer T> ? T : never;
};

type SettingOptions = Pick<Setting<unknown>, 'about' | 'fallbackDescription' | 'isSecret'> & {
  aliases?: readonly string[];
};

/** A setting that always has a value. */
export function withDefault<T>(name: string, parser: Parser<T>, fallback: string, options: SettingOptions) {
  return { name, parser, fallback, aliases: [], ...options } satisfies Setting<T>;
}

/** A setting that may be unset. */
export function optional<T>(name: string, parser: Parser<T>, options: SettingOptions) {
  const optionalParser: Parser<T | undefined> = parser;
  return { name, parser: optionalParser, fallback: undefined, aliases: [], ...options } satisfies Setting<
    T | undefined
  >;
}
