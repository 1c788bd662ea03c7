import { sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { Tenant } from '../model/tenant.ts';
import type { Database } from './database.ts';

/** Queries on tenants. They cache results for an hour: a tenant is removed only after days without use. */
export type TenantQueries = ReturnType<typeof makeTenantQueries>;

const cacheMs = 3_600_000;

/** @see TenantQueries */
export function makeTenantQueries({ sql: db }: Database) {
  const known = new LRUCache<string, Tenant>({ max: 10_000, ttl: cacheMs });
  /** Tenants whose use this process has recorded. */
  const used = new LRUCache<string, Tenant>({ max: 10_000, ttl: cacheMs });

  async function find(name: string): Promise<Tenant | undefined> {
    const cached = known.get(name);
    if (cached) return cached;
    const { rows } = await sql<Tenant>`SELECT id, name FROM tenants WHERE name = ${name}`.execute(db);
    const [tenant] = rows;
    if (tenant) known.set(name, tenant);
    return tenant;
  }

  /**
   * Records that the tenant is used, which protects it from removal, and then reads it. A single statement could return
   * a row that a sweep is removing.
   */
  async function use(name: string): Promise<Tenant | undefined> {
    await sql`
      UPDATE tenants SET used_at = now()
      WHERE name = ${name} AND used_at < now() - make_interval(secs => ${cacheMs / 1_000})`.execute(db);
    known.delete(name);
    return find(name);
  }

  async function create(name: string): Promise<Tenant | undefined> {
    await sql`INSERT INTO tenants (name) VALUES (${name}) ON CONFLICT DO NOTHING`.execute(db);
    return find(name);
  }

  return {
    find,

    /** Returns the tenant with this name; creates it if there is none. */
    async ensure(name: string): Promise<Tenant> {
      const cached = used.get(name);
      if (cached) return cached;
      const tenant = (await use(name)) ?? (await create(name));
      if (!tenant) throw new Error(`Tenant ${name} is missing although it was inserted.`);
      used.set(name, tenant);
      return tenant;
    },
  };
}
