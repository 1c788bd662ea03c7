import type { AuthMode } from '../model/access.ts';
import type { DeliveryMode } from '../model/tenant-settings.ts';
import type { Exposure } from './exposure.ts';
import { minSecretLength } from './parsers.ts';
import type { SettingValues } from './settings.ts';

/** Who may use the API, and the secrets behind it. */
export interface AccessConfig {
  readonly mode: AuthMode;
  /** Default for tenants without a setting of their own. */
  readonly delivery: DeliveryMode;
  /** Secrets for hashing API keys and signing links, newest first. Empty if the process must generate one. */
  readonly secretKeys: readonly string[];
  readonly bootstrapAdminKey: string | undefined;
  /** The API key that commands send. */
  readonly apiKey: string | undefined;
  /** Why a server must not start with these settings, one sentence each. */
  readonly problems: readonly string[];
  /** Why keys must not be created with these secrets, whatever the mode; one sentence each. */
  readonly secretProblems: readonly string[];
}

/** Placeholders in documentation and examples, such as `change_me`, also with something appended. */
const publicSecret = /^(?:(?:change|replace)[-_ ]?me.*|secret|your[-_]secret.*)$/i;

/** @see AccessConfig */
export function composeAccess(values: SettingValues, exposure: Exposure): AccessConfig {
  const { auth, delivery, secretKeys, bootstrapAdminKey, apiKey } = values.access;
  const mode = auth ?? 'open';
  const secretProblems = findSecretProblems(values);
  return {
    mode,
    delivery: delivery ?? (mode === 'keys' ? 'signed' : 'public'),
    secretKeys,
    bootstrapAdminKey,
    apiKey,
    problems: [
      ...(auth === undefined && exposure.isExposed ? [undecidedProblem(exposure)] : []),
      ...(mode === 'keys' ? [...secretProblems, ...weakBootstrapKey(bootstrapAdminKey)] : []),
    ],
    secretProblems,
  };
}

function undecidedProblem({ reason }: Exposure): string {
  return `AUTH is not set, and other machines can reach this server: ${reason}. Set AUTH=keys, so that every request needs an API key, or AUTH=open if everyone who can reach the server may upload, read and delete every image.`;
}

/** Returns why the secrets are not good enough for `AUTH=keys`. */
function findSecretProblems({ access: { secretKeys }, database }: SettingValues): string[] {
  if (secretKeys.length > 0) return weakSecrets(secretKeys);
  if (database.url === undefined) return [];
  return [
    `SECRET_KEY is not set. AUTH=keys on a PostgreSQL database needs a secret of at least ${minSecretLength} characters, the same in every process: generate one with "openssl rand -hex 32".`,
  ];
}

/** Returns a sentence for each secret that is too short or publicly known, without the secret itself. */
function weakSecrets(secretKeys: readonly string[]): string[] {
  return secretKeys.flatMap((secret, index) => {
    const name = secretKeys.length === 1 ? 'SECRET_KEY' : `Secret ${index + 1} of SECRET_KEY`;
    return describeWeakness(name, secret) ?? [];
  });
}

/** Returns a sentence if the bootstrap key is too short or publicly known, without the key itself. */
function weakBootstrapKey(key: string | undefined): string[] {
  const weakness = key === undefined ? undefined : describeWeakness('BOOTSTRAP_ADMIN_KEY', key);
  return weakness === undefined ? [] : [weakness];
}

function describeWeakness(name: string, secret: string): string | undefined {
  if (publicSecret.test(secret)) return `${name} is a publicly documented value: set a secret of your own.`;
  if (secret.length >= minSecretLength) return undefined;
  return `${name} has ${secret.length} characters; it needs at least ${minSecretLength}.`;
}

/** Returns warnings about secrets that a server accepts: with `AUTH=open`, weak ones, because they protect nothing. */
export function findSecretWarnings({
  access: { auth, secretKeys, bootstrapAdminKey },
}: SettingValues): string[] {
  const isReused = bootstrapAdminKey !== undefined && secretKeys.includes(bootstrapAdminKey);
  return [
    ...(auth === 'keys' ? [] : [...weakSecrets(secretKeys), ...weakBootstrapKey(bootstrapAdminKey)]),
    ...(isReused
      ? [
          'BOOTSTRAP_ADMIN_KEY is also a secret of SECRET_KEY: set different values, because the bootstrap key is sent with requests.',
        ]
      : []),
  ];
}

/** Returns warnings about settings that have no effect, one sentence each. */
export function findAccessWarnings({ access: { auth, delivery } }: SettingValues): string[] {
  if (auth === 'keys' || delivery !== 'signed') return [];
  return [
    'DELIVERY=signed has no effect without AUTH=keys: everyone who can reach the server may read every image.',
  ];
}
