import { AppError } from '../errors.ts';
import { RequestRejected, ServerFailure } from './api-client.ts';
import type { Output } from './terminal.ts';

/**
 * Runs `work` and returns its exit code. If a request fails, or the database rejects what it asks for, writes the reason and
 * returns `failureCode`.
 */
export async function reportRequestErrors(
  errorOutput: Output,
  work: () => Promise<number>,
  failureCode = 1,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError || error instanceof RequestRejected || error instanceof ServerFailure))
      throw error;
    errorOutput.write(`${nameOptions(error.message)}\n`);
    return failureCode;
  }
}

/** Options and arguments of commands, by the name of the API field that they set. */
const optionsByField: Readonly<Record<string, string>> = {
  action: '--action',
  actor: '--actor',
  days: '--days',
  expires_in: '--expires',
  id: 'the id',
  min_age_days: '--days',
  name: '--name',
  overlap: '--overlap',
  presets: '--preset',
  role: '--role',
  scopes: '--scope',
  since: '--since',
  tenant: '--tenant',
  until: '--until',
};

/** A path in a request, as error messages of the API contain it, such as `body/tenant` or `body/scopes/0`. */
const requestPathPattern = /\b(?:body|params|querystring|query)\/(\w+)(?:\/\w+)*/g;

/**
 * Replaces paths in a request with the options that set them, because users of the command line do not see requests.
 *
 * For example, `body/tenant: must be shorter` becomes `--tenant: must be shorter`.
 */
export function nameOptions(message: string): string {
  const named = message.replace(requestPathPattern, (path: string, field: string) =>
    Object.hasOwn(optionsByField, field) ? (optionsByField[field] ?? path) : field,
  );
  return capitalize(named);
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
