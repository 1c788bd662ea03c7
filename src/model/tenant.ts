/** A customer of the installation: pictures, usage and duplicates never cross from one tenant to another. */
export interface Tenant {
  readonly id: number;
  readonly name: string;
}

/** Tenant of uploads that name none. */
export const defaultTenant = 'default';

/** What may be a tenant's name. */
export const tenantName = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether `name` may be a tenant's name: 1–64 letters, digits, dots, underscores or hyphens. */
export function isTenantName(name: string): boolean {
  return tenantName.test(name);
}
