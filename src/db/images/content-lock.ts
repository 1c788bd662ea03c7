import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../database.ts';
import { changedMeanwhile } from '../engine/retrying.ts';

/**
 * An expression that makes whoever records or removes the same content of the same tenant wait for this transaction to
 * end. A removal that asks "does a row need this file?" would otherwise miss a row that is being committed.
 */
export function contentLock(tenantId: number, contentHash: string): RawBuilder<unknown> {
  return sql`pg_advisory_xact_lock(${tenantId}::int, ${contentKey(contentHash)}::int)`;
}

/** Takes the lock by itself, at the start of a transaction. */
export async function lockContent(
  transaction: Queryable,
  tenantId: number,
  contentHash: string,
): Promise<void> {
  await sql`SELECT ${contentLock(tenantId, contentHash)}`.execute(transaction);
}

/** A content of a tenant. */
export interface Content {
  readonly tenantId: number;
  readonly contentHash: string;
}

/**
 * Locks everything that determines the owners of these images' files: their own contents, `more`, and the contents
 * after which their rendition files are named. A file that several images share is thus guarded by one lock, however
 * many images share it. All locks are taken in one order, so that transactions never deadlock on them.
 *
 * Call it before any other lock or write of the transaction, which starts over if the files change during the wait.
 */
export async function lockFilesOf(
  transaction: Queryable,
  imageIds: readonly number[],
  more: readonly Content[] = [],
): Promise<void> {
  const locks = await takeLocks(transaction, [...more, ...(await listContents(transaction, imageIds))]);
  await assertLocked(transaction, imageIds, locks);
}

/** The same for one image, then its row after its files: every transaction uses this order. */
export async function lockImageAndFiles(transaction: Queryable, imageId: number): Promise<void> {
  const locks = await takeLocks(transaction, await listContents(transaction, [imageId]));
  await sql`SELECT 1 FROM images WHERE id = ${imageId} FOR UPDATE`.execute(transaction);
  // An import may have received its content during the wait for the row.
  await assertLocked(transaction, [imageId], locks);
}

async function assertLocked(
  transaction: Queryable,
  imageIds: readonly number[],
  locks: readonly LockNumbers[],
): Promise<void> {
  const locked = new Set(locks.map(String));
  const needed = inLockOrder(await listContents(transaction, imageIds));
  if (needed.some((lock) => !locked.has(String(lock)))) throw changedMeanwhile();
}

/** Contents of the images themselves, and those in the names of their rendition files. */
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

type LockNumbers = readonly [tenantId: number, content: number];

function inLockOrder(contents: readonly Content[]): LockNumbers[] {
  const locks = contents.map(({ tenantId, contentHash }): LockNumbers => [tenantId, contentKey(contentHash)]);
  // In the numeric order that PostgreSQL uses: the order of the hashes differs.
  return locks.toSorted(([tenantA, a], [tenantB, b]) => tenantA - tenantB || a - b);
}

async function takeLocks(transaction: Queryable, contents: readonly Content[]): Promise<LockNumbers[]> {
  const locks = inLockOrder(contents);
  await sql`
    SELECT pg_advisory_xact_lock(tenant, content)
    FROM unnest(${locks.map(([tenant]) => tenant)}::int[], ${locks.map(([, content]) => content)}::int[])
      AS lock (tenant, content)`.execute(transaction);
  return locks;
}

/** The first 31 bits of the hash: two contents that share them merely wait for each other. */
function contentKey(contentHash: string): number {
  return Number.parseInt(contentHash.slice(0, 8), 16) & 0x7f_ff_ff_ff;
}
