import type { Reader } from './readers.ts';

/** One environment variable: all that the loader and the documentation know of it. */
export interface Setting<T> {
  readonly name: string;
  /** Older names of the same variable; the first one that is set counts. */
  readonly aliases: readonly string[];
  readonly section: Section;
  readonly about: string;
  readonly reader: Reader<T>;
  /** Text that stands in when the variable is unset or empty; `undefined` means "not set". */
  readonly fallback: string | undefined;
  /** How the documentation writes a fallback that depends on the machine. */
  readonly fallbackWords?: string;
  /** The value may hold a password: no message repeats it. */
  readonly isSecret?: boolean;
}

/** Parts of the documentation, in its order. */
export const sections = [
  'Server',
  'Data',
  'Database',
  'Queue',
  'Storage',
  'Worker',
  'Decoder',
  'Uploads',
  'Imports by URL',
  'Renditions',
  'Duplicates and similarity',
  'Purge',
  'Retention',
  'Log',
] as const;
type Section = (typeof sections)[number];

type Words = Pick<Setting<unknown>, 'about' | 'fallbackWords' | 'isSecret'> & { aliases?: readonly string[] };

/** A setting that always has a value. */
export function withDefault<T>(
  section: Section,
  name: string,
  reader: Reader<T>,
  fallback: string,
  words: Words,
) {
  return { name, section, reader, fallback, aliases: [], ...words } satisfies Setting<T>;
}

/** A setting that may be left out. */
export function optional<T>(section: Section, name: string, reader: Reader<T>, words: Words) {
  const orUndefined: Reader<T | undefined> = reader;
  return { name, section, reader: orUndefined, fallback: undefined, aliases: [], ...words } satisfies Setting<
    T | undefined
  >;
}
