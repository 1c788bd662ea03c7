import { sql } from 'kysely';
import type { JobState } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { Database } from './database.ts';

/** What a tenant uses. Bytes are those of its files, each image counted with its own. */
export interface TenantUsage {
  readonly tenantId: number;
  readonly tenant: string;
  readonly images: number;
  readonly renditions: number;
  readonly originalBytes: number;
  readonly renditionBytes: number;
}

/** What all tenants together use. */
export interface OverallUsage {
  readonly imagesByTenant: Readonly<Record<string, number>>;
  readonly bytesByPreset: Readonly<Record<string, number>>;
  readonly imagesByStatus: Readonly<Record<JobState, number>>;
}

/** Queries on usage. */
export type UsageQueries = ReturnType<typeof makeUsageQueries>;

/** Queries on usage, of what the principal may see; deleted images do not count. */
export function makeUsageQueries({ sql: db }: Database) {
  async function tenants(principal: Principal, name?: string): Promise<TenantUsage[]> {
    const { rows } = await sql<TenantUsage>`
      SELECT t.id AS "tenantId", t.name AS tenant, coalesce(i.images, 0) AS images, coalesce(r.renditions, 0) AS renditions,
             coalesce(i.bytes, 0) AS "originalBytes", coalesce(r.bytes, 0) AS "renditionBytes"
      FROM tenants t
      LEFT JOIN LATERAL (
        SELECT count(*) AS images, sum(original_bytes)::bigint AS bytes FROM images
        WHERE tenant_id = t.id AND deleted_at IS NULL) i ON true
      LEFT JOIN LATERAL (
        SELECT count(*) AS renditions, sum(r.bytes)::bigint AS bytes FROM renditions r
        JOIN images ON images.id = r.image_id
        WHERE images.tenant_id = t.id AND images.deleted_at IS NULL) r ON true
      WHERE ${mayAccess(principal, 't.id')} AND ${name === undefined ? sql`true` : sql`t.name = ${name}`}
      ORDER BY t.name`.execute(db);
    return rows;
  }

  return {
    tenants: (principal: Principal) => tenants(principal),

    async tenant(principal: Principal, name: string): Promise<TenantUsage | undefined> {
      return (await tenants(principal, name))[0];
    },

    async overall(principal: Principal): Promise<OverallUsage> {
      const byTenant = await sql<{ name: string; count: number }>`
        SELECT t.name, count(i.id) AS count FROM tenants t
        LEFT JOIN images i ON i.tenant_id = t.id AND i.deleted_at IS NULL
        WHERE ${mayAccess(principal, 't.id')} GROUP BY t.name ORDER BY t.name`.execute(db);
      const byPreset = await sql<{ name: string; count: number }>`
        SELECT r.preset AS name, sum(r.bytes)::bigint AS count FROM renditions r
        JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
        WHERE ${mayAccess(principal, 'i.tenant_id')} GROUP BY r.preset`.execute(db);
      const byStatus = await sql<{ name: string; count: number }>`
        SELECT status AS name, count(*) AS count FROM images
        WHERE deleted_at IS NULL AND ${mayAccess(principal, 'tenant_id')} GROUP BY status`.execute(db);
      const record = (rows: readonly { name: string; count: number }[]) =>
        Object.fromEntries(rows.map(({ name, count }) => [name, count]));
      return {
        imagesByTenant: record(byTenant.rows),
        bytesByPreset: record(byPreset.rows),
        imagesByStatus: { pending: 0, processing: 0, completed: 0, failed: 0, ...record(byStatus.rows) },
      };
    },
  };
}

function mayAccess({ tenantId }: Principal, column: string) {
  return tenantId === null ? sql`true` : sql`${sql.ref(column)} = ${tenantId}`;
}
