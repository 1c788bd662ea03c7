import { sql } from 'kysely';
import type { JobState } from '../../model/job.ts';
import type { Principal } from '../../model/principal.ts';
import type { TenantUsage, OverallUsage } from '../../model/tenant.ts';
import type { Database } from '../database.ts';
import { isVisibleTo } from '../lists.ts';

/** Usage queries. Those with a principal return only the usage of tenants that the principal may see. */
export type UsageQueries = ReturnType<typeof makeUsageQueries>;

interface Counter {
  readonly tenantId: number;
  readonly kind: 'image' | 'rendition' | 'variant' | 'deleted';
  readonly preset: string;
  readonly format: string;
  readonly count: number;
  readonly bytes: number;
}

interface UnfinishedCount {
  readonly tenantId: number;
  readonly status: JobState;
  readonly count: number;
}

/** Key of the advisory lock that `foldDeltas` takes. No other lock uses this key. */
const foldLockKey = 7_239_001;

/** Creates the usage queries. They read only the counters and the small index of unfinished images. */
export function makeUsageQueries({ sql: db }: Database) {
  async function readUsage(principal: Principal, tenantName?: string): Promise<TenantUsage[]> {
    const isSelected = sql`${isVisibleTo(principal, 't.id')} AND ${tenantName === undefined ? sql`true` : sql`t.name = ${tenantName}`}`;
    const tenants = await sql<{ id: number; name: string }>`
      SELECT t.id, t.name FROM tenants t WHERE ${isSelected} ORDER BY t.name`.execute(db);
    const counters = await sql<Counter>`
      SELECT u.tenant_id AS "tenantId", u.kind, u.preset, u.format, u.count, u.bytes FROM usage u
      JOIN tenants t ON t.id = u.tenant_id WHERE ${isSelected} ORDER BY u.preset, u.format`.execute(db);
    const unfinishedCounts = await sql<UnfinishedCount>`
      SELECT i.tenant_id AS "tenantId", i.status, count(*) AS count FROM images i
      JOIN tenants t ON t.id = i.tenant_id
      WHERE i.deleted_at IS NULL AND i.status <> 'completed' AND ${isSelected} GROUP BY i.tenant_id, i.status`.execute(
      db,
    );
    const countersByTenant = Map.groupBy(counters.rows, ({ tenantId }) => tenantId);
    const unfinishedCountsByTenant = Map.groupBy(unfinishedCounts.rows, ({ tenantId }) => tenantId);
    return tenants.rows.map(({ id, name: tenant }) =>
      toTenantUsage(id, tenant, countersByTenant.get(id) ?? [], unfinishedCountsByTenant.get(id) ?? []),
    );
  }

  return {
    /** Returns the usage of each tenant, ordered by tenant name. */
    listByTenant: (principal: Principal): Promise<TenantUsage[]> => readUsage(principal),

    async findByTenant(principal: Principal, name: string): Promise<TenantUsage | undefined> {
      return (await readUsage(principal, name))[0];
    },

    async readOverall(principal: Principal): Promise<OverallUsage> {
      return addUp(await readUsage(principal));
    },

    /**
     * Adds the changes in `usage_deltas` to `usage_totals`, so that queries read fewer rows. Does nothing if another process is
     * already adding them.
     */
    foldDeltas: (): Promise<void> =>
      db.transaction().execute(async (transaction) => {
        const { rows } = await sql<{ hasLock: boolean }>`
          SELECT pg_try_advisory_xact_lock(${foldLockKey}) AS "hasLock"`.execute(transaction);
        if (!rows[0]?.hasLock) return;
        await sql`
          WITH moved_deltas AS (DELETE FROM usage_deltas RETURNING tenant_id, kind, preset, format, count, bytes)
          INSERT INTO usage_totals (tenant_id, kind, preset, format, count, bytes)
          SELECT tenant_id, kind, preset, format, sum(count), sum(bytes) FROM moved_deltas
          GROUP BY tenant_id, kind, preset, format
          ON CONFLICT (tenant_id, kind, preset, format) DO UPDATE SET count = usage_totals.count + excluded.count,
            bytes = usage_totals.bytes + excluded.bytes`.execute(transaction);
      }),
  };
}

function toTenantUsage(
  tenantId: number,
  tenant: string,
  counters: readonly Counter[],
  unfinishedCounts: readonly UnfinishedCount[],
): TenantUsage {
  const imageCounter = counters.find(({ kind }) => kind === 'image');
  const deletedCounter = counters.find(({ kind }) => kind === 'deleted');
  const fileCounters = counters.filter(
    ({ kind, count, bytes }) => (kind === 'rendition' || kind === 'variant') && (count > 0 || bytes > 0),
  );
  const listedCounters = fileCounters.filter(({ kind }) => kind === 'rendition');
  const images = imageCounter?.count ?? 0;
  const byStatus = { pending: 0, processing: 0, failed: 0 };
  for (const { status, count } of unfinishedCounts) if (status !== 'completed') byStatus[status] = count;
  return {
    tenantId,
    tenant,
    images,
    renditions: sum(listedCounters.map(({ count }) => count)),
    originalBytes: imageCounter?.bytes ?? 0,
    renditionBytes: sum(fileCounters.map(({ bytes }) => bytes)),
    bytesByPreset: sumBytesBy(fileCounters, ({ preset }) => preset),
    bytesByFormat: sumBytesBy(fileCounters, ({ format }) => format),
    imagesByStatus: {
      ...byStatus,
      completed: images - byStatus.pending - byStatus.processing - byStatus.failed,
    },
    deletedImages: deletedCounter?.count ?? 0,
    deletedBytes: deletedCounter?.bytes ?? 0,
  };
}

/** Returns the sums of the counters' bytes, by the name that `getName` returns. */
function sumBytesBy(
  counters: readonly Counter[],
  getName: (counter: Counter) => string,
): Record<string, number> {
  const groups = Map.groupBy(counters, getName);
  return Object.fromEntries([...groups].map(([name, group]) => [name, sum(group.map(({ bytes }) => bytes))]));
}

function addUp(tenants: readonly TenantUsage[]): OverallUsage {
  const total = (getValue: (usage: TenantUsage) => number) => sum(tenants.map(getValue));
  const totalByName = (getBytes: (usage: TenantUsage) => Readonly<Record<string, number>>) => {
    const names = [...new Set(tenants.flatMap((usage) => Object.keys(getBytes(usage))))].toSorted();
    return Object.fromEntries(names.map((name) => [name, total((usage) => getBytes(usage)[name] ?? 0)]));
  };
  return {
    images: total(({ images }) => images),
    renditions: total(({ renditions }) => renditions),
    originalBytes: total(({ originalBytes }) => originalBytes),
    renditionBytes: total(({ renditionBytes }) => renditionBytes),
    imagesByTenant: Object.fromEntries(tenants.map(({ tenant, images }) => [tenant, images])),
    bytesByPreset: totalByName(({ bytesByPreset }) => bytesByPreset),
    bytesByFormat: totalByName(({ bytesByFormat }) => bytesByFormat),
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
