import { type IntakeRules, readIntakeRules } from './intake-rules.ts';
import type { Quotas } from './quota.ts';

/**
 * Who may read renditions at their UUID. `public`: everyone, because a UUID cannot be guessed. `signed`: callers with a key
 * or a signed link.
 */
export const deliveryModes = ['public', 'signed'] as const;

/** @see deliveryModes */
export type DeliveryMode = (typeof deliveryModes)[number];

/** Largest limit: larger numbers would lose precision in JSON. */
export const maxLimit = Number.MAX_SAFE_INTEGER;

interface Definition {
  readonly about: string;
  /** `tenant`: the tenant's own keys may change it. `installation`: only keys without a tenant may. */
  readonly changedBy: 'tenant' | 'installation';
  /**
   * The words that the setting accepts; `limit` for a number from 0, with `null` for no limit; or `rules` for intake rules.
   */
  readonly accepts: readonly string[] | 'limit' | 'rules';
}

/**
 * All settings of a tenant. The names are part of the API, and of the stored rows. The schema of `/v1`, validation and
 * the rule who may change a setting are derived from this table, so a new setting needs an entry here and a default in
 * `defaultTenantSettings` (`services/tenant-settings.ts`).
 */
export const tenantSettings = {
  delivery: {
    about:
      'Who may read renditions at their UUID: `public` is everyone, `signed` is callers with a key or a signed link. Has no effect with `AUTH=open`.',
    changedBy: 'tenant',
    accepts: deliveryModes,
  },
  intake_rules: {
    about:
      'What the images of the tenant must look like. A rule with the action `warn` adds a warning to the record of an image that breaks it, and a rule with `reject` refuses the image. Rules that are left out are off.',
    changedBy: 'tenant',
    accepts: 'rules',
  },
  quota_images: {
    about:
      'Maximum number of images that are not deleted, and of deleted images that do not count towards it; `null` means no limit.',
    changedBy: 'installation',
    accepts: 'limit',
  },
  quota_bytes: {
    about:
      'Maximum size of originals and renditions of images that are not deleted, and of deleted images that do not count towards it, in bytes; `null` means no limit.',
    changedBy: 'installation',
    accepts: 'limit',
  },
  quota_imports_per_day: {
    about: 'Maximum number of imports by URL per day (UTC); `null` means no limit.',
    changedBy: 'installation',
    accepts: 'limit',
  },
} as const satisfies Readonly<Record<string, Definition>>;

/** @see tenantSettings */
export type TenantSettingName = keyof typeof tenantSettings;

/** All settings, in the order of the documentation. */
export const tenantSettingNames = Object.keys(tenantSettings) as readonly TenantSettingName[];

/** The settings that apply to a tenant. */
export type TenantSettings = {
  readonly [Name in TenantSettingName]: (typeof tenantSettings)[Name]['accepts'] extends readonly (infer Word)[]
    ? Word
    : (typeof tenantSettings)[Name]['accepts'] extends 'rules'
      ? IntakeRules
      : number | null;
};

/** The settings that a tenant has of its own. The installation's defaults apply to all others. */
export type OwnTenantSettings = { readonly [Name in TenantSettingName]?: TenantSettings[Name] };

/** Reads stored settings. Skips what this version does not know, because a newer one may have stored it. */
export function readOwnSettings(stored: Readonly<Record<string, unknown>>): OwnTenantSettings {
  const known = tenantSettingNames.flatMap((name) => {
    const value = Object.hasOwn(stored, name) ? readSetting(name, stored[name]) : undefined;
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(known) as OwnTenantSettings;
}

/** Returns the value of a setting; `undefined` if the setting does not accept it. */
function readSetting(name: TenantSettingName, value: unknown): unknown {
  const { accepts }: Definition = tenantSettings[name];
  if (accepts === 'rules') return readIntakeRules(value);
  const isAccepted =
    accepts === 'limit'
      ? value === null || (Number.isSafeInteger(value) && (value as number) >= 0)
      : typeof value === 'string' && accepts.includes(value);
  return isAccepted ? value : undefined;
}

/** A change of one setting. `undefined` stands for the installation's default. */
export interface SettingChange {
  readonly name: TenantSettingName;
  readonly from: TenantSettings[TenantSettingName] | undefined;
  readonly to: TenantSettings[TenantSettingName] | undefined;
}

/** Returns the settings that differ. */
export function findSettingChanges(before: OwnTenantSettings, after: OwnTenantSettings): SettingChange[] {
  return (
    tenantSettingNames
      // Settings that were read have a fixed order of fields.
      .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
      .map((name) => ({ name, from: before[name], to: after[name] }))
  );
}

/** Returns the quotas among the settings. */
export function toQuotas(settings: TenantSettings): Quotas {
  return {
    images: settings.quota_images,
    bytes: settings.quota_bytes,
    importsPerDay: settings.quota_imports_per_day,
  };
}
