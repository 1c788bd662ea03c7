import { sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { Tenant } from '../model/tenant.ts';
import type { Database } from './database.ts';

/** Queries on tenants. */
export type TenantQueries = ReturnType<typeof makeTenantQueries>;

/** How long a process caches a tenant. Unused tenants are kept much longer. */
const knownMs = 3_600_000;

/** Queries on tenants. Results are cached for an hour: a tenant is removed only after days without use. */
export function makeTenantQueries({ sql: db }: Database) {
  const known = new LRUCache<string, Tenant>({ max: 10_000, ttl: knownMs });
  /** Tenants whose use this process has recorded. */
  const used = new LRUCache<string, Tenant>({ max: 10_000, ttl: knownMs });

  async function find(name: string): Promise<Tenant | undefined> {
    const remembered = known.get(name);
    if (remembered) return remembered;
    const tenant = await db
      .selectFrom('tenants')
      .select(['id', 'name'])
      .where('name', '=', name)
      .executeTakeFirst();
    if (tenant) known.set(name, tenant);
    return tenant;
  }

  /**
   * Records that the tenant is used, then reads it: from then on no sweep removes it. A single statement could return a
   * row that a sweep is just removing.
   */
  async function use(name: string): Promise<Tenant | undefined> {
    await sql`
      UPDATE tenants SET used_at = now()
      WHERE name = ${name} AND used_at < now() - make_interval(secs => ${knownMs / 1_000})`.execute(db);
    known.delete(name);
    return find(name);
  }

  async function create(name: string): Promise<Tenant | undefined> {
    await db
      .insertInto('tenants')
      .values({ name })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return find(name);
  }

  return {
    find,

    /** The tenant of this name, created when it is new. */
    async ensure(name: string): Promise<Tenant> {
      const noted = used.get(name);
      if (noted) return noted;
      const tenant = (await use(name)) ?? (await create(name));
      if (!tenant) throw new Error(`Tenant ${name} was inserted and is not there.`);
      used.set(name, tenant);
      return tenant;
    },
  };
}
