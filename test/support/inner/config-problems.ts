import { loadConfig } from '../../../src/config.ts';
import { ConfigError } from '../../../src/errors.ts';

/** Returns the problems that the configuration reports for an environment, or an empty list if it is valid. */
export function listConfigProblems(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
