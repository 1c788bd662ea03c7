import type { AuthMode } from '../model/access.ts';
import type { Exposure } from './exposure.ts';
import { minSecretLength } from './parsers.ts';
import type { SettingValues } from './settings.ts';

/** Who may use the API, and the secrets behind it. */
export interface AccessConfig {
  readonly mode: AuthMode;
  /** Secrets for hashing API keys and signing links, newest first. Empty if the process must generate one. */
  readonly secretKeys: readonly string[];
  readonly bootstrapAdminKey: string | undefined;
  /** The API key that commands send. */
  readonly apiKey: string | undefined;
  /** Why a server must not start with these settings, one sentence each. */
  readonly problems: readonly string[];
}

/** Secrets that documentation and examples contain, in lower case. */
const publicSecrets = new Set(['change_me', 'changeme', 'change-me', 'secret', 'your-secret-key']);

/** @see AccessConfig */
export function composeAccess(values: SettingValues, exposure: Exposure): AccessConfig {
  const { auth, secretKeys, bootstrapAdminKey, apiKey } = values.access;
  const mode = auth ?? 'open';
  return {
    mode,
    secretKeys,
    bootstrapAdminKey,
    apiKey,
    problems: [
      ...(auth === undefined && exposure.isExposed ? [undecidedProblem(exposure)] : []),
      ...(mode === 'keys' ? secretProblems(values) : []),
    ],
  };
}

function undecidedProblem({ reason }: Exposure): string {
  return `AUTH is not set, and other machines can reach this server: ${reason}. Set AUTH=keys, so that every request needs an API key, or AUTH=open if everyone who can reach the server may upload, read and delete every image.`;
}

/** Returns why the secrets are not good enough for `AUTH=keys`. */
function secretProblems({ access: { secretKeys }, database }: SettingValues): string[] {
  if (secretKeys.length > 0) return weakSecrets(secretKeys);
  if (database.url === undefined) return [];
  return [
    `SECRET_KEY is not set. AUTH=keys on a PostgreSQL database needs a secret of at least ${minSecretLength} characters, the same in every process: generate one with "openssl rand -hex 32".`,
  ];
}

/** Returns a sentence for each secret that is too short or publicly known, without the secret itself. */
export function weakSecrets(secretKeys: readonly string[]): string[] {
  return secretKeys.flatMap((secret, index) => {
    const name = secretKeys.length === 1 ? 'SECRET_KEY' : `Secret ${index + 1} of SECRET_KEY`;
    if (publicSecrets.has(secret.toLowerCase()))
      return `${name} is a publicly documented value: set a secret of your own.`;
    if (secret.length >= minSecretLength) return [];
    return `${name} has ${secret.length} characters; it needs at least ${minSecretLength}.`;
  });
}
