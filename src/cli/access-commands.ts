import type { Config } from '../config.ts';
import { type OptionValues, readText } from './options.ts';

/** Exit code of `vitrine audit` if it fails. The exit code 1 means that the log is damaged. */
export const auditFailureCode = 2;

/** Runs `vitrine keys` with the given options. Returns the exit code. */
export async function manageKeys(
  config: Config,
  values: OptionValues,
  inputs: readonly string[],
): Promise<number> {
  const { runKeysCommand } = await import('./keys/keys-command.ts');
  return runKeysCommand({
    config,
    inputs,
    url: readText(values, 'url'),
    name: readText(values, 'name'),
    role: readText(values, 'role'),
    tenant: readText(values, 'tenant'),
    scopes: [values['scope'] ?? []].flat().map(String),
    expires: readText(values, 'expires'),
    overlap: readText(values, 'overlap'),
    descendants: values['descendants'] === true,
    json: values['json'] === true,
    output: process.stdout,
    errorOutput: process.stderr,
  });
}

/** Runs `vitrine audit` with the given options. Returns the exit code. */
export async function readAuditLog(
  config: Config,
  values: OptionValues,
  inputs: readonly string[],
): Promise<number> {
  const { runAuditCommand } = await import('./audit/audit-command.ts');
  return runAuditCommand({
    config,
    failureCode: auditFailureCode,
    inputs,
    url: readText(values, 'url'),
    tenant: readText(values, 'tenant'),
    since: readText(values, 'since'),
    until: readText(values, 'until'),
    action: readText(values, 'action'),
    actor: readText(values, 'actor'),
    out: readText(values, 'out'),
    force: values['force'] === true,
    json: values['json'] === true,
    output: process.stdout,
    errorOutput: process.stderr,
  });
}
