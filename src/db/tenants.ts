import { LRUCache } from 'lru-cache';
import type { Tenant } from '../model/tenant.ts';
import type { Database } from './database.ts';

/** Queries on tenants. */
export type TenantQueries = ReturnType<typeof makeTenantQueries>;

/** Queries on tenants. Rows are never removed, so what was found once may be remembered. */
export function makeTenantQueries({ sql: db }: Database) {
  const known = new LRUCache<string, Tenant>({ max: 10_000 });

  async function find(name: string): Promise<Tenant | undefined> {
    const tenant =
      known.get(name) ??
      (await db.selectFrom('tenants').select(['id', 'name']).where('name', '=', name).executeTakeFirst());
    if (tenant) known.set(name, tenant);
    return tenant;
  }

  return {
    find,

    /** The tenant of this name, created when it is new. */
    async ensure(name: string): Promise<Tenant> {
      const tenant = await find(name);
      if (tenant) return tenant;
      await db
        .insertInto('tenants')
        .values({ name })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      const created = await find(name);
      if (!created) throw new Error(`Tenant ${name} was inserted and is not there.`);
      return created;
    },
  };
}
