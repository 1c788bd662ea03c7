import { type RawBuilder, sql } from 'kysely';
import { AppError } from '../errors.ts';
import type { Principal } from '../model/principal.ts';
import type { QuotaRequest, Quotas } from '../model/quota.ts';
import { type OwnTenantSettings, readOwnSettings } from '../model/tenant-settings.ts';
import type { Database, Queryable } from './database.ts';
import { isVisibleTo } from './lists.ts';
import type { Schema } from './schema.ts';

/** Queries that compare the usage of a tenant with its quotas. */
export type QuotaQueries = ReturnType<typeof makeQuotaQueries>;

/** What a tenant has stored. */
interface StoredAmount {
  readonly images: number;
  readonly bytes: number;
  /** Images that are deleted, but not yet purged. */
  readonly deletedImages: number;
  readonly deletedBytes: number;
}

/** What decides how much a tenant may still use, in addition to its usage. */
export interface QuotaState {
  readonly own: OwnTenantSettings;
  /** Imports by URL that were requested since midnight, UTC. */
  readonly importsToday: number;
}

/** @see QuotaQueries */
export function makeQuotaQueries({ sql: db }: Database) {
  return {
    /** Returns the settings and today's imports of the tenants that the principal may see, by tenant id. */
    async listByTenant(
      principal: Pick<Principal, 'tenantId'>,
      tenantName?: string,
    ): Promise<ReadonlyMap<number, QuotaState>> {
      const { rows } = await sql<Pick<Schema['tenants'], 'id' | 'settings'> & { importsToday: number }>`
        SELECT t.id, t.settings, coalesce(c.count, 0)::bigint AS "importsToday" FROM tenants t
        LEFT JOIN import_counts c ON c.tenant_id = t.id AND c.day = ${utcToday}
        WHERE ${isVisibleTo(principal, 't.id')} AND ${tenantName === undefined ? sql`true` : sql`t.name = ${tenantName}`}`.execute(
        db,
      );
      return new Map(
        rows.map(({ id, settings, importsToday }) => [id, { own: readOwnSettings(settings), importsToday }]),
      );
    },

    /**
     * Throws if the request would exceed a quota. Saves the work on requests that cannot succeed; others are checked again
     * in the transaction that adds to the usage, because usage may change in the meantime.
     * @throws {AppError} `quota_exceeded`.
     */
    async assertRoom(tenantId: number, quotas: Quotas, request: QuotaRequest): Promise<void> {
      const error = findExceededQuota(quotas, await readStoredAmount(db, tenantId), request);
      if (error) throw error;
    },
  };
}

/** First key of the locks that `lockQuotas` takes. Content locks never use it, because theirs is a positive tenant id. */
const quotaLockKey = -2;

/**
 * Waits for other transactions that add to the usage of the tenant, so that together they cannot exceed its quotas. The lock
 * lasts until the transaction ends. Taken after all other locks and only by tenants with quotas, so that it is held briefly.
 */
export async function lockQuotas(transaction: Queryable, tenantId: number): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${quotaLockKey}::int, ${tenantId}::int)`.execute(transaction);
}

/** Reads what the tenant has stored. After `lockQuotas`, this includes everything that other transactions have added. */
export async function readStoredAmount(queryable: Queryable, tenantId: number): Promise<StoredAmount> {
  const { rows } = await sql<StoredAmount>`
    SELECT coalesce(sum(count) FILTER (WHERE kind = 'image'), 0)::bigint AS images,
      coalesce(sum(bytes) FILTER (WHERE kind <> 'deleted'), 0)::bigint AS bytes,
      coalesce(sum(count) FILTER (WHERE kind = 'deleted'), 0)::bigint AS "deletedImages",
      coalesce(sum(bytes) FILTER (WHERE kind = 'deleted'), 0)::bigint AS "deletedBytes"
    FROM usage WHERE tenant_id = ${tenantId}`.execute(queryable);
  return rows[0] ?? { images: 0, bytes: 0, deletedImages: 0, deletedBytes: 0 };
}

/**
 * Ensures that the tenant may store what the transaction is about to add.
 * @throws {AppError} `quota_exceeded`.
 */
export async function claimRoom(
  transaction: Queryable,
  tenantId: number,
  quotas: Quotas,
  request: QuotaRequest,
): Promise<void> {
  await lockQuotas(transaction, tenantId);
  const error = findExceededQuota(quotas, await readStoredAmount(transaction, tenantId), request);
  if (error) throw error;
}

/**
 * Returns an error if the request would exceed a quota. A quota that the request adds nothing to is not checked. Deleted images
 * may use as much again as the quota, because content that is uploaded again shares the files of its deleted image. What they
 * use beyond that counts towards the quota. Otherwise, a tenant that deletes what it uploads could fill the disk.
 */
export function findExceededQuota(
  quotas: Quotas,
  stored: StoredAmount,
  { images = 0, bytes = 0 }: QuotaRequest,
): AppError | undefined {
  const { images: maxImages, bytes: maxBytes } = quotas;
  if (maxImages !== null && images > 0) {
    const excess = Math.max(0, stored.deletedImages - maxImages);
    const used = stored.images + excess;
    if (used + images > maxImages) {
      const deleted = excess > 0 ? `, and ${stored.deletedImages} deleted images wait for a purge` : '';
      return quotaExceeded('images', maxImages, used, `has ${stored.images} images${deleted}`, excess > 0);
    }
  }
  if (maxBytes !== null && bytes > 0) {
    const excess = Math.max(0, stored.deletedBytes - maxBytes);
    const used = stored.bytes + excess;
    if (used + bytes > maxBytes) {
      const deleted = excess > 0 ? `, deleted images with ${stored.deletedBytes} bytes wait for a purge` : '';
      const state = `stores ${stored.bytes} bytes${deleted}, and this would add ${bytes}`;
      return quotaExceeded('bytes', maxBytes, used, state, excess > 0);
    }
  }
  return undefined;
}

function quotaExceeded(
  quota: 'images' | 'bytes',
  limit: number,
  used: number,
  state: string,
  needsPurge: boolean,
): AppError {
  const rule = needsPurge ? `, and deleted images may use as much again` : '';
  const advice = needsPurge
    ? 'Purge deleted images, or ask the operator for a purge or a higher quota.'
    : 'Delete images that are not needed, or ask the operator for a higher quota.';
  return new AppError(
    'quota_exceeded',
    `This tenant ${state}; its quota is ${limit} ${quota}${rule}. ${advice}`,
    { details: { quota, limit, used } },
  );
}

/** Today's date in UTC. */
export const utcToday = sql`(now() AT TIME ZONE 'UTC')::date`;

/** Returns how many imports the tenant has requested today. */
export async function countImportsToday(transaction: Queryable, tenantId: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count FROM import_counts WHERE tenant_id = ${tenantId} AND day = ${utcToday}`.execute(transaction);
  return rows[0]?.count ?? 0;
}

/** Adds to today's imports of tenants. @param newImports table expression that yields a row with `tenant_id` for each import */
export function addImportCounts(newImports: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    INSERT INTO import_counts (tenant_id, day, count)
    SELECT tenant_id, ${utcToday}, count(*) FROM ${newImports} GROUP BY tenant_id
    ON CONFLICT (tenant_id) DO UPDATE SET day = excluded.day,
      count = excluded.count + CASE WHEN import_counts.day = excluded.day THEN import_counts.count ELSE 0 END`;
}

const dayMs = 86_400_000;

/** Returns the error for an import that is not accepted today. */
export function importQuotaExceeded(limit: number, used: number): AppError {
  return new AppError(
    'import_quota_exceeded',
    `This tenant has requested ${used} imports since midnight UTC; its quota is ${limit} a day. Try again after midnight UTC, or ask the operator for a higher quota.`,
    {
      details: { quota: 'imports_per_day', limit, used },
      retryAfterSeconds: Math.ceil((dayMs - (Date.now() % dayMs)) / 1_000),
    },
  );
}
