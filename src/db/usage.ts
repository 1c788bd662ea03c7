import { sql } from 'kysely';
import type { JobState } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { TenantUsage, OverallUsage } from '../model/tenant.ts';
import type { Database } from './database.ts';

/** Queries on usage. */
export type UsageQueries = ReturnType<typeof makeUsageQueries>;

type Counter = {
  tenantId: number;
  kind: 'image' | 'rendition';
  preset: string;
  count: number;
  bytes: number;
};
type Unfinished = { tenantId: number; status: JobState; count: number };

/**
 * Queries on usage, of what the principal may see. Figures come from counters, and from the index of unfinished images,
 * which holds few: none of them reads the table of images.
 */
export function makeUsageQueries({ sql: db }: Database) {
  async function read(principal: Principal, name?: string): Promise<TenantUsage[]> {
    const visible = sql`${principal.tenantId === null ? sql`true` : sql`t.id = ${principal.tenantId}`}
      AND ${name === undefined ? sql`true` : sql`t.name = ${name}`}`;
    const tenants = await sql<{ id: number; name: string }>`
      SELECT t.id, t.name FROM tenants t WHERE ${visible} ORDER BY t.name`.execute(db);
    const counters = await sql<Counter>`
      SELECT u.tenant_id AS "tenantId", u.kind, u.preset, u.count, u.bytes FROM usage u
      JOIN tenants t ON t.id = u.tenant_id WHERE ${visible} ORDER BY u.preset`.execute(db);
    const unfinished = await sql<Unfinished>`
      SELECT i.tenant_id AS "tenantId", i.status, count(*) AS count FROM images i
      JOIN tenants t ON t.id = i.tenant_id
      WHERE i.deleted_at IS NULL AND i.status <> 'completed' AND ${visible} GROUP BY i.tenant_id, i.status`.execute(
      db,
    );
    const countersOf = Map.groupBy(counters.rows, ({ tenantId }) => tenantId);
    const unfinishedOf = Map.groupBy(unfinished.rows, ({ tenantId }) => tenantId);
    return tenants.rows.map(({ id, name: tenant }) =>
      usageOf(id, tenant, countersOf.get(id) ?? [], unfinishedOf.get(id) ?? []),
    );
  }

  return {
    /** Every tenant, by name. */
    tenants: (principal: Principal): Promise<TenantUsage[]> => read(principal),

    async tenant(principal: Principal, name: string): Promise<TenantUsage | undefined> {
      return (await read(principal, name))[0];
    },

    async overall(principal: Principal): Promise<OverallUsage> {
      return addUp(await read(principal));
    },
  };
}

function usageOf(
  tenantId: number,
  tenant: string,
  counters: readonly Counter[],
  unfinished: readonly Unfinished[],
): TenantUsage {
  const image = counters.find(({ kind }) => kind === 'image');
  const renditions = counters.filter(
    ({ kind, count, bytes }) => kind === 'rendition' && (count > 0 || bytes > 0),
  );
  const images = image?.count ?? 0;
  const waiting = { pending: 0, processing: 0, failed: 0 };
  for (const { status, count } of unfinished) if (status !== 'completed') waiting[status] = count;
  return {
    tenantId,
    tenant,
    images,
    renditions: sum(renditions.map(({ count }) => count)),
    originalBytes: image?.bytes ?? 0,
    renditionBytes: sum(renditions.map(({ bytes }) => bytes)),
    bytesByPreset: Object.fromEntries(renditions.map(({ preset, bytes }) => [preset, bytes])),
    imagesByStatus: {
      ...waiting,
      completed: images - waiting.pending - waiting.processing - waiting.failed,
    },
  };
}

function addUp(tenants: readonly TenantUsage[]): OverallUsage {
  const total = (figure: (usage: TenantUsage) => number) => sum(tenants.map(figure));
  const presets = [...new Set(tenants.flatMap(({ bytesByPreset }) => Object.keys(bytesByPreset)))].toSorted();
  return {
    images: total(({ images }) => images),
    renditions: total(({ renditions }) => renditions),
    originalBytes: total(({ originalBytes }) => originalBytes),
    renditionBytes: total(({ renditionBytes }) => renditionBytes),
    imagesByTenant: Object.fromEntries(tenants.map(({ tenant, images }) => [tenant, images])),
    bytesByPreset: Object.fromEntries(
      presets.map((preset) => [preset, total(({ bytesByPreset }) => bytesByPreset[preset] ?? 0)]),
    ),
    imagesByStatus: {
      pending: total(({ imagesByStatus }) => imagesByStatus.pending),
      processing: total(({ imagesByStatus }) => imagesByStatus.processing),
      completed: total(({ imagesByStatus }) => imagesByStatus.completed),
      failed: total(({ imagesByStatus }) => imagesByStatus.failed),
    },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
