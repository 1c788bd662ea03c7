import { sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { Tenant } from '../model/tenant.ts';
import type { Database } from './database.ts';

/**
 * Queries for tenants. Results can be cached for an hour, because no tenant is removed until it has been unused for at
 * least two days.
 */
export type TenantQueries = ReturnType<typeof makeTenantQueries>;

const cacheMs = 3_600_000;

/** @see TenantQueries */
export function makeTenantQueries({ sql: db }: Database) {
  const tenantsByName = new LRUCache<string, Tenant>({ max: 10_000, ttl: cacheMs });
  /** Tenants that this process has recorded as used within the last hour. */
  const recentlyUsedTenants = new LRUCache<string, Tenant>({ max: 10_000, ttl: cacheMs });

  async function find(name: string): Promise<Tenant | undefined> {
    const cachedTenant = tenantsByName.get(name);
    if (cachedTenant) return cachedTenant;
    const { rows } = await sql<Tenant>`SELECT id, name FROM tenants WHERE name = ${name}`.execute(db);
    const [tenant] = rows;
    if (tenant) tenantsByName.set(name, tenant);
    return tenant;
  }

  /**
   * Records that the tenant is in use, which protects it from removal, and then reads it. A single statement for both could
   * return a row that a sweep is removing.
   */
  async function recordUse(name: string): Promise<Tenant | undefined> {
    await sql`
      UPDATE tenants SET used_at = now()
      WHERE name = ${name} AND used_at < now() - make_interval(secs => ${cacheMs / 1_000})`.execute(db);
    tenantsByName.delete(name);
    return find(name);
  }

  async function create(name: string): Promise<Tenant | undefined> {
    await sql`INSERT INTO tenants (name) VALUES (${name}) ON CONFLICT DO NOTHING`.execute(db);
    return find(name);
  }

  return {
    find,

    /** Returns the tenant with this name. Creates it if it does not exist. */
    async ensure(name: string): Promise<Tenant> {
      const cachedTenant = recentlyUsedTenants.get(name);
      if (cachedTenant) return cachedTenant;
      const tenant = (await recordUse(name)) ?? (await create(name));
      if (!tenant) throw new Error(`Tenant ${name} is missing although it was inserted.`);
      recentlyUsedTenants.set(name, tenant);
      return tenant;
    },
  };
}
