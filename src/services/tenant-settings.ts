import type { ConfiguredTenant, TenantSettingsQueries } from '../db/tenant-settings.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../model/logger.ts';
import { callerFields, type Principal } from '../model/principal.ts';
import type { Quotas } from '../model/quota.ts';
import { isTenantName, type Tenant } from '../model/tenant.ts';
import {
  type DeliveryMode,
  type OwnTenantSettings,
  tenantSettingNames,
  type TenantSettings,
  tenantSettings,
} from '../model/tenant-settings.ts';
import type { SettingsCache } from './settings-cache.ts';

/** The settings of a tenant, and where they come from. */
export interface TenantSettingsReport {
  readonly tenant: Tenant;
  /** The settings that the tenant has of its own. */
  readonly own: OwnTenantSettings;
  /** The installation's defaults. */
  readonly defaults: TenantSettings;
  /** What applies: its own settings and, for the others, the defaults. */
  readonly effective: TenantSettings;
}

/** Reads and changes the settings of tenants. A caller that is bound to a tenant sees only that tenant. */
export interface ManageTenantSettings {
  /** @throws {AppError} `tenant_not_found`. */
  read(principal: Principal, tenantName: string): Promise<TenantSettingsReport>;
  /**
   * Replaces the tenant's own settings: the installation's defaults apply to those that are left out. A caller with a tenant
   * cannot change settings such as quotas; they keep their values if it leaves them out. Other processes follow within 5 s.
   * @throws {AppError} `tenant_not_found`, `settings_not_allowed`.
   */
  replace(principal: Principal, tenantName: string, own: OwnTenantSettings): Promise<TenantSettingsReport>;
}

interface Dependencies {
  readonly queries: Pick<TenantSettingsQueries, 'findByName' | 'replace'>;
  readonly cache: Pick<SettingsCache, 'forget'>;
  readonly defaults: TenantSettings;
  readonly logger: Logger;
}

/** @see ManageTenantSettings */
export function makeManageTenantSettings({
  queries,
  cache,
  defaults,
  logger,
}: Dependencies): ManageTenantSettings {
  function toReport(tenantName: string, tenant: ConfiguredTenant | undefined): TenantSettingsReport {
    if (!tenant)
      throw new AppError(
        'tenant_not_found',
        `There is no tenant ${JSON.stringify(tenantName.slice(0, 80))}.`,
      );
    const { id, name, own } = tenant;
    return { tenant: { id, name }, own, defaults, effective: { ...defaults, ...own } };
  }

  return {
    async read(principal, tenantName) {
      const tenant = isTenantName(tenantName) ? await queries.findByName(principal, tenantName) : undefined;
      return toReport(tenantName, tenant);
    },

    async replace(principal, tenantName, requested) {
      const tenant = isTenantName(tenantName)
        ? await queries.replace(principal, tenantName, (own) => applyRights(principal, own, requested))
        : undefined;
      const report = toReport(tenantName, tenant);
      cache.forget(report.tenant.id);
      logger.info(
        { tenant: report.tenant.name, ...callerFields(principal) },
        `the settings of tenant ${report.tenant.name} were replaced`,
      );
      return report;
    },
  };
}

/**
 * Returns the settings to store. A caller with a tenant can send the settings of the installation back as it has read them,
 * or leave them out, but not change them: otherwise it could raise its own quotas.
 */
function applyRights(
  { tenantId }: Principal,
  current: OwnTenantSettings,
  requested: OwnTenantSettings,
): OwnTenantSettings {
  if (tenantId === null) return requested;
  const reserved = tenantSettingNames.filter((name) => tenantSettings[name].changedBy === 'installation');
  const changed = reserved.find(
    (name) => Object.hasOwn(requested, name) && requested[name] !== current[name],
  );
  if (changed !== undefined)
    throw new AppError(
      'settings_not_allowed',
      `Only a key without a tenant may change "${changed}": it is ${describe(current[changed])}, and the request sets it to ${describe(requested[changed])}.`,
      { details: { setting: changed } },
    );
  const kept = reserved.filter((name) => Object.hasOwn(current, name));
  return { ...requested, ...Object.fromEntries(kept.map((name) => [name, current[name]])) };
}

function describe(value: unknown): string {
  return value === undefined ? "the installation's default" : JSON.stringify(value);
}

/** Returns the settings of tenants that have none of their own. */
export function defaultTenantSettings(delivery: DeliveryMode, quotas: Quotas): TenantSettings {
  return {
    delivery,
    intake_rules: {},
    quota_images: quotas.images,
    quota_bytes: quotas.bytes,
    quota_imports_per_day: quotas.importsPerDay,
  };
}
