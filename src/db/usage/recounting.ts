import { sql } from 'kysely';
import { lockImageAndFiles } from '../images/content-lock.ts';
import type { Database, Queryable } from '../database.ts';
import { assignOwners } from '../images/removal.ts';
import { retrying, retryingTransaction } from '../engine/retrying.ts';

/** Queries that check and correct usage counters and file ownership. */
export type RecountQueries = ReturnType<typeof makeRecountQueries>;

/** A counter's value. */
interface CounterValue {
  readonly count: number;
  readonly bytes: number;
}

/** A usage counter that differs from the value computed from the rows. */
export interface UsageDrift {
  /**
   * `rendition` counts the renditions that records list, and `variant` all others. `deleted` counts deleted images, and the
   * bytes of their originals and renditions.
   */
  readonly kind: 'image' | 'rendition' | 'variant' | 'deleted';
  /** Empty except for renditions and variants. */
  readonly preset: string;
  /** Empty except for renditions and variants. */
  readonly format: string;
  readonly counterValue: CounterValue;
  /** The value computed from the rows. */
  readonly actualValue: CounterValue;
}

type Counter = CounterValue & Pick<UsageDrift, 'kind' | 'preset' | 'format'>;

/** Number of images read per statement. A larger page would block the embedded database for too long. */
const pageSize = 1_000;

/** @see RecountQueries */
export function makeRecountQueries({ sql: db }: Database) {
  return {
    /** Lists tenants whose id is greater than `id`, ordered by id. */
    async listTenantsAfter(id: number, limit: number): Promise<{ id: number; name: string }[]> {
      const { rows } = await sql<{ id: number; name: string }>`
        SELECT id, name FROM tenants WHERE id > ${id} ORDER BY id LIMIT ${limit}`.execute(db);
      return rows;
    },

    /**
     * Ensures that each file used by the tenant's images has exactly one owner. Correcting an owner also updates the
     * counters. Returns the number of images that had a file with no owner or several owners.
     */
    async repairOwners(tenantId: number): Promise<number> {
      let repairedCount = 0;
      for await (const { ids } of readPages((beforeId) =>
        findImagesWithWrongOwners(db, tenantId, beforeId),
      )) {
        for (const id of ids) {
          await retryingTransaction(db, async (transaction) => {
            await lockImageAndFiles(transaction, id);
            await assignOwners(transaction, id);
          });
        }
        repairedCount += ids.length;
      }
      return repairedCount;
    },

    /**
     * Corrects the tenant's counters to match its rows. Returns the counters that were wrong. Counters and rows are read in
     * one snapshot, so that a change to a row is visible only together with the resulting change to the counters. If two
     * recounts run concurrently, only one adds its correction. The other fails with a serialization error and is retried.
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

/**
 * Reads pages of images, newest first, until a page is empty. A page's `lastId` is its smallest image id, or `null` if the
 * page is empty.
 */
async function* readPages<Page extends { readonly lastId: number | null }>(
  readPage: (beforeId: number) => Promise<Page>,
): AsyncGenerator<Page> {
  let beforeId: number | null = Number.MAX_SAFE_INTEGER;
  while (beforeId !== null) {
    const page: Page = await readPage(beforeId);
    yield page;
    beforeId = page.lastId;
  }
}

function selectPage(tenantId: number, beforeId: number) {
  return sql`
    SELECT i.id, own_bytes(i) AS bytes FROM images i
    WHERE i.tenant_id = ${tenantId} AND i.deleted_at IS NULL AND i.id < ${beforeId} ORDER BY i.id DESC LIMIT ${pageSize}`;
}

/** Finds images that have a file with no owner or several owners. `OFFSET 0` keeps the planner from scanning the table. */
async function findImagesWithWrongOwners(
  db: Queryable,
  tenantId: number,
  beforeId: number,
): Promise<{ ids: number[]; lastId: number | null }> {
  const { rows } = await sql<{ ids: number[]; lastId: number | null }>`
    WITH page_images AS MATERIALIZED (${selectPage(tenantId, beforeId)})
    SELECT (SELECT min(id) FROM page_images) AS "lastId", ARRAY(
      SELECT page_images.id FROM page_images WHERE EXISTS (
        SELECT 1 FROM renditions r WHERE r.image_id = page_images.id AND (
          SELECT count(*) FROM renditions owner WHERE owner.storage_key = r.storage_key AND NOT owner.shared
            AND (SELECT i.deleted_at IS NULL FROM images i WHERE i.id = owner.image_id)) <> 1
        OFFSET 0)
      ORDER BY page_images.id) AS ids`.execute(db);
  return rows[0] ?? { ids: [], lastId: null };
}

async function readCounters(transaction: Queryable, tenantId: number): Promise<Counter[]> {
  const { rows } = await sql<Counter>`
    SELECT kind, preset, format, count, bytes FROM usage WHERE tenant_id = ${tenantId}`.execute(transaction);
  return rows;
}

async function recountTenant(transaction: Queryable, tenantId: number): Promise<Counter[]> {
  const totals = new Map<string, Counter>();
  for (const recountPage of [recountPageOfImages, recountPageOfDeletedImages])
    for await (const { counters } of readPages((beforeId) => recountPage(transaction, tenantId, beforeId)))
      for (const counter of counters) {
        const sum = totals.get(counterKey(counter)) ?? { count: 0, bytes: 0 };
        totals.set(counterKey(counter), {
          ...counter,
          count: sum.count + counter.count,
          bytes: sum.bytes + counter.bytes,
        });
      }
  return [...totals.values()];
}

/** What the images of one page add to the counters. */
interface RecountedPage {
  readonly counters: Counter[];
  readonly lastId: number | null;
}

async function recountPageOfImages(
  transaction: Queryable,
  tenantId: number,
  beforeId: number,
): Promise<RecountedPage> {
  const { rows } = await sql<Counter & { lastId: number | null }>`
    WITH page_images AS MATERIALIZED (${selectPage(tenantId, beforeId)})
    SELECT 'image' AS kind, '' AS preset, '' AS format, count(*) AS count, coalesce(sum(bytes), 0)::bigint AS bytes, min(id) AS "lastId"
    FROM page_images
    UNION ALL
    SELECT counter_kind(r.is_listed, r.superseded_at), r.preset, r.format, count(*),
      coalesce(sum(r.bytes) FILTER (WHERE NOT r.shared), 0)::bigint, NULL
    FROM page_images CROSS JOIN LATERAL (SELECT * FROM renditions WHERE image_id = page_images.id OFFSET 0) r
    GROUP BY counter_kind(r.is_listed, r.superseded_at), r.preset, r.format`.execute(transaction);
  const lastId = rows.find(({ kind }) => kind === 'image')?.lastId ?? null;
  return { counters: rows.map(({ lastId: _lastId, ...counter }) => counter), lastId };
}

async function recountPageOfDeletedImages(
  transaction: Queryable,
  tenantId: number,
  beforeId: number,
): Promise<RecountedPage> {
  const { rows } = await sql<CounterValue & { lastId: number | null }>`
    WITH page_images AS MATERIALIZED (
      SELECT i.id, own_bytes(i) AS bytes FROM images i
      WHERE i.tenant_id = ${tenantId} AND i.deleted_at IS NOT NULL AND i.id < ${beforeId}
      ORDER BY i.id DESC LIMIT ${pageSize})
    SELECT count(*) AS count, min(id) AS "lastId", coalesce(sum(bytes + coalesce(
      (SELECT sum(r.bytes) FROM renditions r WHERE r.image_id = page_images.id), 0)), 0)::bigint AS bytes
    FROM page_images`.execute(transaction);
  return {
    counters: rows.map(({ count, bytes }) => ({ kind: 'deleted', preset: '', format: '', count, bytes })),
    lastId: rows[0]?.lastId ?? null,
  };
}

const counterKey = ({ kind, preset, format }: Pick<Counter, 'kind' | 'preset' | 'format'>) =>
  `${kind} ${preset} ${format}`;

function findDrifts(storedCounters: readonly Counter[], actualCounters: readonly Counter[]): UsageDrift[] {
  const zeroValue = { count: 0, bytes: 0 };
  const toValuesByKey = (counters: readonly Counter[]) =>
    new Map(counters.map((counter) => [counterKey(counter), { count: counter.count, bytes: counter.bytes }]));
  const storedValues = toValuesByKey(storedCounters);
  const actualValues = toValuesByKey(actualCounters);
  const countersByKey = new Map(
    [...storedCounters, ...actualCounters].map((counter) => [counterKey(counter), counter]),
  );
  return [...countersByKey]
    .map(([key, { kind, preset, format }]) => ({
      kind,
      preset,
      format,
      counterValue: storedValues.get(key) ?? zeroValue,
      actualValue: actualValues.get(key) ?? zeroValue,
    }))
    .filter(
      ({ counterValue, actualValue }) =>
        counterValue.count !== actualValue.count || counterValue.bytes !== actualValue.bytes,
    );
}

async function addCorrection(
  transaction: Queryable,
  tenantId: number,
  { kind, preset, format, counterValue, actualValue }: UsageDrift,
): Promise<void> {
  await sql`
    INSERT INTO usage_totals (tenant_id, kind, preset, format, count, bytes)
    VALUES (${tenantId}, ${kind}, ${preset}, ${format}, ${actualValue.count - counterValue.count},
      ${actualValue.bytes - counterValue.bytes})
    ON CONFLICT (tenant_id, kind, preset, format) DO UPDATE SET count = usage_totals.count + excluded.count,
      bytes = usage_totals.bytes + excluded.bytes`.execute(transaction);
}
