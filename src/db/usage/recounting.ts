import { sql } from 'kysely';
import { lockImageAndFiles } from '../images/content-lock.ts';
import type { Database, Queryable } from '../database.ts';
import { assignOwners } from '../images/removal.ts';
import { retrying, retryingTransaction } from '../engine/retrying.ts';

/** Queries that check and correct the usage counters and the owners of files. */
export type RecountQueries = ReturnType<typeof makeRecountQueries>;

/** A counter's value. */
interface CounterValue {
  readonly count: number;
  readonly bytes: number;
}

/** A counter that differs from the rows: its value, and the value computed from the rows. */
export interface UsageDrift {
  readonly kind: 'image' | 'rendition';
  /** Empty for images. */
  readonly preset: string;
  readonly counted: CounterValue;
  readonly real: CounterValue;
}

type Counter = CounterValue & Pick<UsageDrift, 'kind' | 'preset'>;

/** Images read per statement. More would block the embedded engine for too long. */
const pageSize = 1_000;

/** @see RecountQueries */
export function makeRecountQueries({ sql: db }: Database) {
  return {
    /** Lists tenants with an id greater than `id`, in the order of their ids. */
    async listTenantsAfter(id: number, limit: number): Promise<{ id: number; name: string }[]> {
      const { rows } = await sql<{ id: number; name: string }>`
        SELECT id, name FROM tenants WHERE id > ${id} ORDER BY id LIMIT ${limit}`.execute(db);
      return rows;
    },

    /**
     * Ensures that each file used by the tenant's images has exactly one owner. Correcting an owner also updates the counters. Returns the
     * number of images with a file that had no owner or several owners.
     */
    async repairOwners(tenantId: number): Promise<number> {
      let repaired = 0;
      for await (const { ids } of pages((before) => findWithWrongOwners(db, tenantId, before))) {
        for (const id of ids) {
          await retryingTransaction(db, async (transaction) => {
            await lockImageAndFiles(transaction, id);
            await assignOwners(transaction, id);
          });
        }
        repaired += ids.length;
      }
      return repaired;
    },

    /**
     * Corrects the tenant's counters from its rows. Returns the counters that were wrong. Counters and rows are read in the
     * same snapshot, where a change and its delta are either both visible or both invisible. If two recounts run concurrently, only
     * one adds its correction: the other fails with a serialization error and is retried.
     */
    correctUsage: (tenantId: number): Promise<UsageDrift[]> =>
      retrying(() =>
        db
          .transaction()
          .setIsolationLevel('repeatable read')
          .execute(async (transaction) => {
            const drifts = findDrifts(
              await readCounters(transaction, tenantId),
              await recountTenant(transaction, tenantId),
            );
            for (const drift of drifts) await addCorrection(transaction, tenantId, drift);
            return drifts;
          }),
      ),
  };
}

/** Reads pages of images, newest first, until a page is empty. `last` is a page's smallest id, or `null` if it is empty. */
async function* pages<Page extends { readonly last: number | null }>(
  read: (before: number) => Promise<Page>,
): AsyncGenerator<Page> {
  let before: number | null = Number.MAX_SAFE_INTEGER;
  while (before !== null) {
    const page: Page = await read(before);
    yield page;
    before = page.last;
  }
}

function pageOfImages(tenantId: number, before: number) {
  return sql`
    SELECT i.id, own_bytes(i) AS bytes FROM images i
    WHERE i.tenant_id = ${tenantId} AND i.deleted_at IS NULL AND i.id < ${before} ORDER BY i.id DESC LIMIT ${pageSize}`;
}

/** Finds images with a file that has no owner or several. `OFFSET 0` keeps the planner from scanning the table. */
async function findWithWrongOwners(
  db: Queryable,
  tenantId: number,
  before: number,
): Promise<{ ids: number[]; last: number | null }> {
  const { rows } = await sql<{ ids: number[]; last: number | null }>`
    WITH page AS MATERIALIZED (${pageOfImages(tenantId, before)})
    SELECT (SELECT min(id) FROM page) AS last, ARRAY(
      SELECT page.id FROM page WHERE EXISTS (
        SELECT 1 FROM renditions r WHERE r.image_id = page.id AND (
          SELECT count(*) FROM renditions owner WHERE owner.storage_key = r.storage_key AND NOT owner.shared
            AND (SELECT i.deleted_at IS NULL FROM images i WHERE i.id = owner.image_id)) <> 1
        OFFSET 0)
      ORDER BY page.id) AS ids`.execute(db);
  return rows[0] ?? { ids: [], last: null };
}

async function readCounters(transaction: Queryable, tenantId: number): Promise<Counter[]> {
  const { rows } = await sql<Counter>`
    SELECT kind, preset, count, bytes FROM usage WHERE tenant_id = ${tenantId}`.execute(transaction);
  return rows;
}

async function recountTenant(transaction: Queryable, tenantId: number): Promise<Counter[]> {
  const totals = new Map<string, Counter>();
  for await (const { counters } of pages((before) => recountPage(transaction, tenantId, before))) {
    for (const counter of counters) {
      const sum = totals.get(keyOf(counter)) ?? { count: 0, bytes: 0 };
      totals.set(keyOf(counter), {
        ...counter,
        count: sum.count + counter.count,
        bytes: sum.bytes + counter.bytes,
      });
    }
  }
  return [...totals.values()];
}

async function recountPage(
  transaction: Queryable,
  tenantId: number,
  before: number,
): Promise<{ counters: Counter[]; last: number | null }> {
  const { rows } = await sql<Counter & { last: number | null }>`
    WITH page AS MATERIALIZED (${pageOfImages(tenantId, before)})
    SELECT 'image' AS kind, '' AS preset, count(*) AS count, coalesce(sum(bytes), 0)::bigint AS bytes, min(id) AS last
    FROM page
    UNION ALL
    SELECT 'rendition', r.preset, count(*), coalesce(sum(r.bytes) FILTER (WHERE NOT r.shared), 0)::bigint, NULL
    FROM page CROSS JOIN LATERAL (SELECT * FROM renditions WHERE image_id = page.id OFFSET 0) r
    GROUP BY r.preset`.execute(transaction);
  const last = rows.find(({ kind }) => kind === 'image')?.last ?? null;
  return { counters: rows.map(({ kind, preset, count, bytes }) => ({ kind, preset, count, bytes })), last };
}

const keyOf = ({ kind, preset }: Pick<Counter, 'kind' | 'preset'>) => `${kind} ${preset}`;

function findDrifts(counters: readonly Counter[], recounted: readonly Counter[]): UsageDrift[] {
  const zero = { count: 0, bytes: 0 };
  const valuesByKey = (all: readonly Counter[]) =>
    new Map(all.map((counter) => [keyOf(counter), { count: counter.count, bytes: counter.bytes }]));
  const counted = valuesByKey(counters);
  const real = valuesByKey(recounted);
  const byKey = new Map([...counters, ...recounted].map((counter) => [keyOf(counter), counter]));
  return [...byKey]
    .map(([key, { kind, preset }]) => ({
      kind,
      preset,
      counted: counted.get(key) ?? zero,
      real: real.get(key) ?? zero,
    }))
    .filter((drift) => drift.counted.count !== drift.real.count || drift.counted.bytes !== drift.real.bytes);
}

async function addCorrection(
  transaction: Queryable,
  tenantId: number,
  { kind, preset, counted, real }: UsageDrift,
): Promise<void> {
  await sql`
    INSERT INTO usage_totals (tenant_id, kind, preset, count, bytes)
    VALUES (${tenantId}, ${kind}, ${preset}, ${real.count - counted.count}, ${real.bytes - counted.bytes})
    ON CONFLICT (tenant_id, kind, preset) DO UPDATE SET count = usage_totals.count + excluded.count,
      bytes = usage_totals.bytes + excluded.bytes`.execute(transaction);
}
