import type { TenantQueries } from '../db/tenants.ts';
import { AppError } from '../errors.ts';
import type { Principal } from '../model/principal.ts';
import { isTenantName, type Tenant } from '../model/tenant.ts';

/**
 * The tenant of this name, created when it is new. A caller that is bound to a tenant neither writes for another nor
 * learns whether there is one.
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

/** The tenant of this name. @throws {AppError} `invalid_tenant`, `tenant_not_found`. */
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
 * Restricts a principal to one tenant. If the tenant does not exist yet, the result sees no data.
 * @throws {AppError} `tenant_not_found` if the principal is bound to another tenant.
 */
export type BindToTenant = (principal: Principal, name: string) => Promise<Principal>;

/** Matches no tenant: ids start at 1. */
const noTenantId = 0;

/** @see BindToTenant */
export function makeBindToTenant(tenants: Pick<TenantQueries, 'find'>): BindToTenant {
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
    `A tenant name is 1 to 64 letters, digits, dots, underscores or hyphens; this one is ${JSON.stringify(name.slice(0, 80))}.`,
  );
}
