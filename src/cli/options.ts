import type { Config } from '../config.ts';
import { defaultTenant } from '../model/tenant.ts';

/** Thrown if a command is called with invalid arguments. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** An option of a command. */
export interface Option {
  readonly type: 'string' | 'boolean';
  /** Whether the option may be given several times. */
  readonly isRepeatable?: boolean;
  readonly description: string;
}

/** The values of the options that were given, by name. */
export type OptionValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** One command of `vitrine`. */
export interface Command {
  /** Synopsis of the arguments with a leading space, shown after the command name. */
  readonly usage: string;
  readonly description: string;
  readonly options: Readonly<Record<string, Option>>;
  /** Whether the command accepts positional arguments. */
  readonly acceptsInputs?: boolean;
  /** Exit code if the command fails; default: 1. Different if 1 is a result of the command. */
  readonly failureCode?: number;
  /**
   * Runs the command. Returns the exit code, or nothing if the command succeeded. Loads the command's modules on
   * demand, so that other commands start faster.
   */
  run(config: Config, values: OptionValues, inputs: readonly string[]): Promise<number | void>;
}

/** The server that a command uses. */
export const urlOption: Option = {
  type: 'string',
  description:
    'URL of the server; default: the server that uses DATA_DIR. If the server requires an API key, set VITRINE_API_KEY.',
};
/** The tenant of uploaded images. */
export const tenantOption: Option = {
  type: 'string',
  description: `Tenant of the images; default: the tenant of the API key, or else ${defaultTenant}.`,
};
/** The number of concurrent uploads. */
export const concurrencyOption: Option = {
  type: 'string',
  description: 'Number of concurrent uploads, 1 to 64; default: 4.',
};

/** Returns the value of a text option. */
export function readText(values: OptionValues, option: string): string | undefined {
  const value = values[option];
  return typeof value === 'string' ? value : undefined;
}

/** Returns the value of an option that is a whole number from `min` to `max`. @throws {UsageError} */
export function readNumber(
  values: OptionValues,
  option: string,
  fallback: number,
  max: number,
  min = 1,
): number {
  const text = readText(values, option);
  const value = text === undefined ? fallback : Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`--${option} must be a whole number from ${min} to ${max}, not "${text}".`);
}

/**
 * Throws if an option was given that belongs to a different action of the command, which would ignore it.
 * @param given the values of the options; `undefined` if an option was not given
 * @param actionsByOption the action to which each option belongs
 * @throws {UsageError}
 */
export function rejectOptionsOfOthers<Option extends string>(
  action: string,
  given: Readonly<Record<Option, unknown>>,
  actionsByOption: Readonly<Record<Option, string>>,
): void {
  for (const option of Object.keys(actionsByOption) as Option[]) {
    const owner = actionsByOption[option];
    if (given[option] !== undefined && owner !== action)
      throw new UsageError(`--${option} cannot be used with ${action}, only with ${owner}.`);
  }
}
