import type { TenantQueries } from '../db/tenants.ts';
import type { UsageQueries } from '../db/usage/usage.ts';
import { AppError } from '../errors.ts';
import type { Principal } from '../model/principal.ts';
import { isTenantName, type OverallUsage, type Tenant, type TenantUsage } from '../model/tenant.ts';

/**
 * Returns the tenant with this name, creating it if necessary. A caller that is bound to one tenant can neither create
 * other tenants nor find out whether they exist.
 * @throws {AppError} `invalid_tenant`, `tenant_not_found`.
 */
export async function ensureTenant(
  tenants: TenantQueries,
  principal: Principal,
  name: string,
): Promise<Tenant> {
  assertTenantName(name);
  return principal.tenantId === null ? tenants.ensure(name) : findTenant(tenants, principal, name);
}

/** Returns the tenant with this name. @throws {AppError} `invalid_tenant`, `tenant_not_found`. */
export async function findTenant(
  tenants: Pick<TenantQueries, 'find'>,
  principal: Principal,
  name: string,
): Promise<Tenant> {
  assertTenantName(name);
  const tenant = await tenants.find(name);
  if (tenant && (principal.tenantId === null || principal.tenantId === tenant.id)) return tenant;
  throw new AppError('tenant_not_found', `There is no tenant ${JSON.stringify(name)}.`);
}

/**
 * Restricts a principal to one tenant. If the tenant does not exist, the resulting principal cannot see any data.
 * @throws {AppError} `tenant_not_found` if the principal is already bound to a different tenant.
 */
export type BindToTenant = (principal: Principal, name: string) => Promise<Principal>;

/** An id that no tenant has, because ids start at 1. */
const noTenantId = 0;

/** @see BindToTenant */
export function makeBindToTenant({
  tenants,
}: {
  readonly tenants: Pick<TenantQueries, 'find'>;
}): BindToTenant {
  return async (principal, name) => {
    if (principal.tenantId !== null) await findTenant(tenants, principal, name);
    const tenant = await tenants.find(name);
    return { ...principal, tenantId: tenant?.id ?? noTenantId };
  };
}

function assertTenantName(name: string): void {
  if (isTenantName(name)) return;
  throw new AppError(
    'invalid_tenant',
    `The tenant name ${JSON.stringify(name.slice(0, 80))} is not valid: it must consist of 1 to 64 letters, digits, dots, underscores or hyphens.`,
  );
}

/** Reports the storage usage of the tenants that a caller may see. */
export interface Usage {
  /** Returns the usage of each tenant, ordered by name. */
  tenants(principal: Principal): Promise<TenantUsage[]>;
  /** Returns the usage of one tenant. @throws {AppError} `tenant_not_found`. */
  tenant(principal: Principal, name: string): Promise<TenantUsage>;
  /** Returns the usage of all tenants combined. */
  overall(principal: Principal): Promise<OverallUsage>;
}

/** @see Usage */
export function makeUsage({ usage }: { readonly usage: UsageQueries }): Usage {
  return {
    tenants: (principal) => usage.listByTenant(principal),
    overall: (principal) => usage.readOverall(principal),
    async tenant(principal, name) {
      const tenantUsage = isTenantName(name) ? await usage.findByTenant(principal, name) : undefined;
      if (tenantUsage) return tenantUsage;
      throw new AppError('tenant_not_found', `There is no tenant ${JSON.stringify(name.slice(0, 80))}.`);
    },
  };
}
