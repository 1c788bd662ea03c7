import { sql } from 'kysely';
import { lockImageAndFiles } from '../images/content-lock.ts';
import type { Database, Queryable } from '../database.ts';
import { assignOwners } from '../images/removal.ts';
import { retrying, retryingTransaction } from '../engine/retrying.ts';

/** Queries that check the usage counters and the owners of files against the rows, and correct them. */
export type RecountQueries = ReturnType<typeof makeRecountQueries>;

/** A counter's value. */
interface Figure {
  readonly count: number;
  readonly bytes: number;
}

/** A counter that differed from the rows: its value, and the value computed from the rows. */
export interface UsageDrift {
  readonly kind: 'image' | 'rendition';
  /** Empty for images. */
  readonly preset: string;
  readonly counted: Figure;
  readonly real: Figure;
}

type Counter = Figure & Pick<UsageDrift, 'kind' | 'preset'>;

/** Images read per statement: few enough not to block the embedded engine. */
const pageSize = 1_000;

/** @see RecountQueries */
export function makeRecountQueries({ sql: db }: Database) {
  return {
    /** Lists tenants in the order of their ids, after `id`. */
    async tenantsAfter(id: number, limit: number): Promise<{ id: number; name: string }[]> {
      const { rows } = await sql<{ id: number; name: string }>`
        SELECT id, name FROM tenants WHERE id > ${id} ORDER BY id LIMIT ${limit}`.execute(db);
      return rows;
    },

    /**
     * Gives each file that the tenant's images use exactly one owner, which also updates the counters. Returns
     * the number of images with a file that had no owner or several.
     */
    async assignOwnersOf(tenantId: number): Promise<number> {
      let settled = 0;
      for await (const { ids } of pages((before) => findUnsettled(db, tenantId, before))) {
        for (const id of ids) {
          await retryingTransaction(db, async (transaction) => {
            await lockImageAndFiles(transaction, id);
            await assignOwners(transaction, id);
          });
        }
        settled += ids.length;
      }
      return settled;
    },

    /**
     * Corrects the tenant's counters from its rows. Returns the counters that were wrong. Counters and rows are read in
     * one snapshot: a change and its delta are either both visible or neither is. The correction is added to the totals;
     * of two concurrent recounts, which would both add it, one fails with a serialization error and is retried.
     */
    correctUsage: (tenantId: number): Promise<UsageDrift[]> =>
      retrying(() =>
        db
          .transaction()
          .setIsolationLevel('repeatable read')
          .execute(async (transaction) => {
            const drifts = compare(
              await readCounters(transaction, tenantId),
              await recount(transaction, tenantId),
            );
            for (const drift of drifts) await correct(transaction, tenantId, drift);
            return drifts;
          }),
      ),
  };
}

/** Reads pages of images, newest first, until a page is empty. `last` is the oldest id of a page, `null` if it is empty. */
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

/** Finds images with a file that has no owner, or several. `OFFSET 0` keeps the planner from a table scan. */
async function findUnsettled(
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

async function recount(transaction: Queryable, tenantId: number): Promise<Counter[]> {
  const total = new Map<string, Counter>();
  for await (const { counters } of pages((before) => recountPage(transaction, tenantId, before))) {
    for (const counter of counters) {
      const sum = total.get(keyOf(counter)) ?? { count: 0, bytes: 0 };
      total.set(keyOf(counter), {
        ...counter,
        count: sum.count + counter.count,
        bytes: sum.bytes + counter.bytes,
      });
    }
  }
  return [...total.values()];
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

function compare(counters: readonly Counter[], recounted: readonly Counter[]): UsageDrift[] {
  const nothing = { count: 0, bytes: 0 };
  const figures = (all: readonly Counter[]) =>
    new Map(all.map((counter) => [keyOf(counter), { count: counter.count, bytes: counter.bytes }]));
  const counted = figures(counters);
  const real = figures(recounted);
  const names = new Map([...counters, ...recounted].map((counter) => [keyOf(counter), counter]));
  return [...names]
    .map(([key, { kind, preset }]) => ({
      kind,
      preset,
      counted: counted.get(key) ?? nothing,
      real: real.get(key) ?? nothing,
    }))
    .filter((drift) => drift.counted.count !== drift.real.count || drift.counted.bytes !== drift.real.bytes);
}

async function correct(
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
