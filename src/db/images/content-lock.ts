import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../database.ts';
import { rowsChanged } from '../engine/retrying.ts';

/** The bytes of an original, within one tenant. */
export interface Content {
  readonly tenantId: number;
  readonly contentHash: string;
}

/**
 * SQL expression that locks a content until the transaction ends. Transactions that record or remove the same content
 * take the lock; otherwise one that checks whether a row still uses a file would not see a row that is being committed.
 */
export function contentLock(tenantId: number, contentHash: string): RawBuilder<unknown> {
  return sql`pg_advisory_xact_lock(${tenantId}::int, ${contentKey(contentHash)}::int)`;
}

/** Locks a content, at the start of a transaction. */
export async function lockContent(
  transaction: Queryable,
  tenantId: number,
  contentHash: string,
): Promise<void> {
  await sql`SELECT ${contentLock(tenantId, contentHash)}`.execute(transaction);
}

/**
 * Locks all contents that decide who owns the files of these images: the images' own contents, the contents in the
 * names of their rendition files, and `more`. One lock guards a file however many images share it. All transactions
 * take these locks in the same order, so they cannot deadlock on them.
 *
 * Call it before any other lock or write of the transaction: it restarts the transaction if the files changed while it
 * waited.
 */
export async function lockFilesOf(
  transaction: Queryable,
  imageIds: readonly number[],
  more: readonly Content[] = [],
): Promise<void> {
  const locks = await takeLocks(transaction, [...more, ...(await listContents(transaction, imageIds))]);
  await assertAllLocked(transaction, imageIds, locks);
}

/** Locks the files of one image, then its row. Every transaction uses this order. */
export async function lockImageAndFiles(transaction: Queryable, imageId: number): Promise<void> {
  const locks = await takeLocks(transaction, await listContents(transaction, [imageId]));
  await sql`SELECT 1 FROM images WHERE id = ${imageId} FOR UPDATE`.execute(transaction);
  // An import may have received its content while this waited for the row.
  await assertAllLocked(transaction, [imageId], locks);
}

async function assertAllLocked(
  transaction: Queryable,
  imageIds: readonly number[],
  locks: readonly LockKeys[],
): Promise<void> {
  const locked = new Set(locks.map(String));
  const needed = inLockOrder(await listContents(transaction, imageIds));
  if (needed.some((keys) => !locked.has(String(keys)))) throw rowsChanged();
}

/** Lists the contents of the images, and the contents in the names of their rendition files. */
async function listContents(transaction: Queryable, imageIds: readonly number[]): Promise<Content[]> {
  const { rows } = await sql<Content>`
    SELECT tenant_id AS "tenantId", content_hash AS "contentHash" FROM images
    WHERE id = ANY (${imageIds}::bigint[]) AND content_hash IS NOT NULL
    UNION
    SELECT i.tenant_id, substring(r.storage_key FROM '/([0-9a-f]{64})-')
    FROM renditions r JOIN images i ON i.id = r.image_id
    WHERE r.image_id = ANY (${imageIds}::bigint[]) AND r.storage_key ~ '/[0-9a-f]{64}-'`.execute(transaction);
  return rows;
}

/** The two keys of an advisory lock. */
type LockKeys = readonly [tenantId: number, content: number];

function inLockOrder(contents: readonly Content[]): LockKeys[] {
  const locks = contents.map(({ tenantId, contentHash }): LockKeys => [tenantId, contentKey(contentHash)]);
  // Numeric order, in which PostgreSQL compares the keys. The order of the hashes would differ.
  return locks.toSorted(([tenantA, a], [tenantB, b]) => tenantA - tenantB || a - b);
}

async function takeLocks(transaction: Queryable, contents: readonly Content[]): Promise<LockKeys[]> {
  const locks = inLockOrder(contents);
  await sql`
    SELECT pg_advisory_xact_lock(tenant, content)
    FROM unnest(${locks.map(([tenant]) => tenant)}::int[], ${locks.map(([, content]) => content)}::int[])
      AS lock (tenant, content)`.execute(transaction);
  return locks;
}

/** Returns the low 31 of the first 32 bits of the hash. Contents with the same key only wait for each other. */
function contentKey(contentHash: string): number {
  return Number.parseInt(contentHash.slice(0, 8), 16) & 0x7f_ff_ff_ff;
}
