import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../database.ts';
import { rowsChangedError } from '../engine/retrying.ts';

/** Identifies the bytes of an original within one tenant. */
export interface Content {
  readonly tenantId: number;
  readonly contentHash: string;
}

/**
 * SQL expression that locks content until the transaction ends. Every transaction that records or removes this content takes
 * the lock. Otherwise, a transaction that checks whether a file is still in use could miss a row that is not committed yet.
 */
export function contentLock(tenantId: number, contentHash: string): RawBuilder<unknown> {
  return sql`pg_advisory_xact_lock(${tenantId}::int, ${contentKey(contentHash)}::int)`;
}

/** Locks content until the transaction ends. Call this at the start of a transaction. */
export async function lockContent(
  transaction: Queryable,
  tenantId: number,
  contentHash: string,
): Promise<void> {
  await sql`SELECT ${contentLock(tenantId, contentHash)}`.execute(transaction);
}

/**
 * Locks the files of these images. An original is locked through the image's content, and a rendition file through the
 * content whose hash is in the file name. `additionalContents` are locked as well. A file has only one lock, even if several
 * images share it. All transactions take these locks in the same order, so that they cannot deadlock.
 *
 * Call this before the transaction takes any other lock or writes anything. If the images' files change while this function
 * waits, the transaction is retried.
 */
export async function lockImageFiles(
  transaction: Queryable,
  imageIds: readonly number[],
  additionalContents: readonly Content[] = [],
): Promise<void> {
  const locks = await takeLocks(transaction, [
    ...additionalContents,
    ...(await listContents(transaction, imageIds)),
  ]);
  await assertAllLocked(transaction, imageIds, locks);
}

/** Locks an image's files, and then its row. Every transaction uses this order. */
export async function lockImageAndFiles(transaction: Queryable, imageId: number): Promise<void> {
  const locks = await takeLocks(transaction, await listContents(transaction, [imageId]));
  await sql`SELECT 1 FROM images WHERE id = ${imageId} FOR UPDATE`.execute(transaction);
  // An import may have received its content while this transaction waited for the row.
  await assertAllLocked(transaction, [imageId], locks);
}

async function assertAllLocked(
  transaction: Queryable,
  imageIds: readonly number[],
  locks: readonly LockKeys[],
): Promise<void> {
  const lockedKeys = new Set(locks.map(String));
  const neededLocks = toLockKeys(await listContents(transaction, imageIds));
  if (neededLocks.some((keys) => !lockedKeys.has(String(keys)))) throw rowsChangedError();
}

/** Lists the images' own content, and the content whose hash is in the names of their rendition files. */
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

/** Returns the keys in the order in which all transactions take the locks. */
function toLockKeys(contents: readonly Content[]): LockKeys[] {
  const locks = contents.map(({ tenantId, contentHash }): LockKeys => [tenantId, contentKey(contentHash)]);
  // The keys themselves are sorted, because different content may have the same key.
  return locks.toSorted(([tenantA, a], [tenantB, b]) => tenantA - tenantB || a - b);
}

async function takeLocks(transaction: Queryable, contents: readonly Content[]): Promise<LockKeys[]> {
  const locks = toLockKeys(contents);
  await sql`
    SELECT pg_advisory_xact_lock(tenant, content)
    FROM unnest(${locks.map(([tenant]) => tenant)}::int[], ${locks.map(([, content]) => content)}::int[])
      AS lock_keys (tenant, content)`.execute(transaction);
  return locks;
}

/** Returns a 31-bit number from the start of the hash. A collision only makes two files share a lock. */
function contentKey(contentHash: string): number {
  return Number.parseInt(contentHash.slice(0, 8), 16) & 0x7f_ff_ff_ff;
}
