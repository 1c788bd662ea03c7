import type { QuotaQueries, QuotaState } from '../db/quotas.ts';
import type { TenantQueries } from '../db/tenants.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { UsageQueries } from '../db/usage/usage.ts';
import { AppError } from '../errors.ts';
import type { Principal } from '../model/principal.ts';
import {
  defaultTenant,
  isTenantName,
  type OverallUsage,
  type Tenant,
  type TenantUsage,
  type TenantUsageReport,
} from '../model/tenant.ts';
import { type TenantSettings, toQuotas } from '../model/tenant-settings.ts';

/**
 * Returns the tenant with this name, creating it if necessary.
 * @param name default: the caller's tenant, or else the tenant `default`
 * @throws {AppError} `invalid_tenant`, `tenant_not_allowed`.
 */
export async function ensureTenant(
  tenants: Pick<TenantQueries, 'ensure'>,
  principal: Principal,
  name: string | undefined,
): Promise<Tenant> {
  return tenants.ensure(chooseTenant(principal, name));
}

/**
 * Returns the tenant with this name.
 * @param name default: the caller's tenant, or else the tenant `default`
 * @throws {AppError} `invalid_tenant`, `tenant_not_allowed`, `tenant_not_found`.
 */
export async function findTenant(
  tenants: Pick<TenantQueries, 'find'>,
  principal: Principal,
  name: string | undefined,
): Promise<Tenant> {
  const chosen = chooseTenant(principal, name);
  const tenant = await tenants.find(chosen);
  if (tenant) return tenant;
  throw new AppError('tenant_not_found', `There is no tenant ${JSON.stringify(chosen)}.`);
}

/**
 * Returns the id of the tenant with this name; without a name, that of the caller's tenant, or `null` for all tenants.
 * @throws {AppError} `invalid_tenant`, `tenant_not_allowed`, `tenant_not_found`.
 */
export async function findTenantIdOrAll(
  tenants: Pick<TenantQueries, 'find'>,
  principal: Principal,
  name: string | undefined,
): Promise<number | null> {
  return name === undefined ? principal.tenantId : (await findTenant(tenants, principal, name)).id;
}

function chooseTenant(principal: Principal, name: string | undefined): string {
  const chosen = name ?? principal.tenantName ?? defaultTenant;
  assertTenantName(chosen);
  assertTenantAllowed(principal, chosen);
  return chosen;
}

/**
 * Throws unless the caller may access the tenant with this name. The error does not tell whether the tenant exists.
 * @param name `undefined` if the request names no tenant
 * @throws {AppError} `tenant_not_allowed`.
 */
export function assertTenantAllowed({ tenantId, tenantName }: Principal, name: string | undefined): void {
  if (name === undefined || tenantId === null || name === tenantName) return;
  throw new AppError(
    'tenant_not_allowed',
    `This API key can access only the tenant ${JSON.stringify(tenantName)}, not ${JSON.stringify(name.slice(0, 80))}.`,
  );
}

/**
 * Throws if the caller is bound to one tenant.
 * @param subject what covers all tenants, at the start of a sentence
 * @throws {AppError} `tenant_not_allowed`.
 */
export function assertSeesAllTenants({ tenantName }: Principal, subject: string): void {
  if (tenantName === null) return;
  throw new AppError(
    'tenant_not_allowed',
    `${subject} cover all tenants, but this API key can access only the tenant ${JSON.stringify(tenantName)}.`,
  );
}

/** Restricts a caller to one tenant: its own or, for a caller without one, the tenant `default`. */
export type BindToTenant = (principal: Principal) => Promise<Principal>;

/** An id that no tenant has, because ids start at 1. */
const noTenantId = 0;

/** @see BindToTenant */
export function makeBindToTenant({
  tenants,
}: {
  readonly tenants: Pick<TenantQueries, 'find'>;
}): BindToTenant {
  return async (principal) => {
    if (principal.tenantId !== null) return principal;
    // If the tenant does not exist, the caller sees nothing.
    const tenant = await tenants.find(defaultTenant);
    return { ...principal, tenantId: tenant?.id ?? noTenantId, tenantName: defaultTenant };
  };
}

/** @throws {AppError} `invalid_tenant`. */
export function assertTenantName(name: string): void {
  if (isTenantName(name)) return;
  throw new AppError(
    'invalid_tenant',
    `The tenant name ${JSON.stringify(name.slice(0, 80))} is not valid: it must consist of 1 to 64 letters, digits, dots, underscores or hyphens.`,
  );
}

/** Reports the storage usage of the tenants that a caller may see. */
export interface Usage {
  /** Returns the usage and quotas of each tenant, ordered by name. */
  tenants(principal: Principal): Promise<TenantUsageReport[]>;
  /** Returns the usage and quotas of one tenant. @throws {AppError} `tenant_not_found`. */
  tenant(principal: Principal, name: string): Promise<TenantUsageReport>;
  /** Returns the usage of all tenants combined. */
  overall(principal: Principal): Promise<OverallUsage>;
}

interface UsageDependencies {
  readonly usage: Pick<UsageQueries, 'listByTenant' | 'findByTenant' | 'readOverall'>;
  readonly quotas: Pick<QuotaQueries, 'listByTenant'>;
  /** Settings of tenants that have none of their own. */
  readonly defaults: TenantSettings;
}

/** @see Usage */
export function makeUsage({ usage, quotas, defaults }: UsageDependencies): Usage {
  const withQuotas = (tenant: TenantUsage, states: ReadonlyMap<number, QuotaState>): TenantUsageReport => {
    // A tenant that was created between the two queries has no imports yet.
    const { own, importsToday } = states.get(tenant.tenantId) ?? { own: {}, importsToday: 0 };
    return { ...tenant, importsToday, quotas: toQuotas({ ...defaults, ...own }) };
  };
  return {
    async tenants(principal) {
      const states = await quotas.listByTenant(principal);
      return (await usage.listByTenant(principal)).map((tenant) => withQuotas(tenant, states));
    },
    overall: (principal) => usage.readOverall(principal),
    async tenant(principal, name) {
      const tenant = isTenantName(name) ? await usage.findByTenant(principal, name) : undefined;
      if (tenant) return withQuotas(tenant, await quotas.listByTenant(principal, name));
      throw new AppError('tenant_not_found', `There is no tenant ${JSON.stringify(name.slice(0, 80))}.`);
    },
  };
}

/** Lists images. @throws {AppError} `tenant_not_allowed`. */
export type ListImages = ImageQueries['list'];

/** @see ListImages */
export function makeListImages({ images }: { readonly images: Pick<ImageQueries, 'list'> }): ListImages {
  return async (principal, filter, page) => {
    assertTenantAllowed(principal, filter.tenant);
    return images.list(principal, filter, page);
  };
}
