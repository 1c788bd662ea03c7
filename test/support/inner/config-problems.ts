import { ConfigError, loadConfig } from '../../../src/config.ts';

/** What the configuration says of an environment that it does not understand; nothing when it does. */
export function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
