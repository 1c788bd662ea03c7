import type { TenantUsage } from '../model/usage.ts';
import { AppError } from '../errors.ts';
import type { Principal } from '../model/principal.ts';
import { isTenantName } from '../model/tenant.ts';
import type { Services } from '../services/services.ts';

/** Usage of the tenant that an address names. @throws {AppError} `tenant_not_found`, also for what is no tenant's name */
export async function tenantUsage(
  usage: Services['usage'],
  principal: Principal,
  name: string,
): Promise<TenantUsage> {
  const found = isTenantName(name) ? await usage.tenant(principal, name) : undefined;
  if (found) return found;
  throw new AppError('tenant_not_found', `There is no tenant ${JSON.stringify(name.slice(0, 80))}.`);
}
