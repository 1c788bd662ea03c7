import { sql } from 'kysely';
import type { Principal } from '../../model/principal.ts';
import type { Queryable } from '../database.ts';
import type { ImageFilter } from './images.ts';

/**
 * Number of living images that a filter leaves. Without a range of time it comes from the counters and from the index of
 * unfinished images, which holds few: counting a hundred thousand rows would be the slowest part of a list.
 */
export async function countImages(db: Queryable, principal: Principal, filter: ImageFilter): Promise<number> {
  if (filter.createdAfter || filter.createdBefore) return countRange(db, principal, filter);
  const { status } = filter;
  if (status !== undefined && status !== 'completed') return countUnfinished(db, principal, filter, status);
  const all = await countAll(db, principal, filter);
  return status === undefined ? all : all - (await countUnfinished(db, principal, filter));
}

async function countAll(db: Queryable, principal: Principal, filter: ImageFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT coalesce(sum(count), 0)::bigint AS count FROM usage
    WHERE kind = 'image' AND ${ofTenant(principal, filter)}`.execute(db);
  return rows[0]?.count ?? 0;
}

async function countUnfinished(
  db: Queryable,
  principal: Principal,
  filter: ImageFilter,
  status?: string,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM images
    WHERE deleted_at IS NULL AND status <> 'completed' AND ${ofTenant(principal, filter)}
      AND ${status === undefined ? sql`true` : sql`status = ${status}`}`.execute(db);
  return rows[0]?.count ?? 0;
}

async function countRange(db: Queryable, principal: Principal, filter: ImageFilter): Promise<number> {
  const { status, createdAfter, createdBefore } = filter;
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM images
    WHERE deleted_at IS NULL AND ${ofTenant(principal, filter)}
      AND ${status === undefined ? sql`true` : sql`status = ${status}`}
      AND ${createdAfter ? sql`created_at >= ${createdAfter}` : sql`true`}
      AND ${createdBefore ? sql`created_at < ${createdBefore}` : sql`true`}`.execute(db);
  return rows[0]?.count ?? 0;
}

function ofTenant({ tenantId }: Principal, { tenant }: ImageFilter) {
  const visible = tenantId === null ? sql`true` : sql`tenant_id = ${tenantId}`;
  return tenant === undefined
    ? visible
    : sql`${visible} AND tenant_id = (SELECT id FROM tenants WHERE name = ${tenant})`;
}
