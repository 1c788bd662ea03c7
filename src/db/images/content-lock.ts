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
  return sql`pg_advisory_xact_lock(${tenantId}::int, ${contentKey(sql`${contentHash}::text`)})`;
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
  const locks = await takeLocks(transaction, imageIds, additionalContents);
  await assertAllLocked(transaction, imageIds, locks);
}

/** Locks an image's files, and then its row. Every transaction uses this order. */
export async function lockImageAndFiles(transaction: Queryable, imageId: number): Promise<void> {
  const locks = await takeLocks(transaction, [imageId]);
  await sql`SELECT 1 FROM images WHERE id = ${imageId} FOR UPDATE`.execute(transaction);
  // An import may have received its content while this transaction waited for the row.
  await assertAllLocked(transaction, [imageId], locks);
}

/** Locks the files of several images, and then their rows, in the order of their ids. */
export async function lockImagesAndFiles(transaction: Queryable, imageIds: readonly number[]): Promise<void> {
  const locks = await takeLocks(transaction, imageIds);
  await sql`SELECT 1 FROM images WHERE id = ANY (${imageIds}::bigint[]) ORDER BY id FOR UPDATE`.execute(
    transaction,
  );
  await assertAllLocked(transaction, imageIds, locks);
}

async function assertAllLocked(
  transaction: Queryable,
  imageIds: readonly number[],
  locks: readonly LockKeys[],
): Promise<void> {
  const lockedKeys = new Set(locks.map(toText));
  const { rows } = await sql<LockKeys>`
    SELECT DISTINCT ${lockKeys} FROM (${selectContents(imageIds)}) contents`.execute(transaction);
  if (rows.some((keys) => !lockedKeys.has(toText(keys)))) throw rowsChangedError();
}

/** The two keys of an advisory lock. */
interface LockKeys {
  readonly tenant: number;
  readonly content: number;
}

function toText({ tenant, content }: LockKeys): string {
  return `${tenant}/${content}`;
}

/**
 * Locks the files of the images and the additional contents, in the order in which all transactions take the locks. The keys
 * themselves are sorted, because different content may have the same key.
 */
async function takeLocks(
  transaction: Queryable,
  imageIds: readonly number[],
  additionalContents: readonly Content[] = [],
): Promise<LockKeys[]> {
  const { rows } = await sql<LockKeys>`
    WITH lock_keys AS MATERIALIZED (
      SELECT DISTINCT ${lockKeys} FROM (
        ${selectContents(imageIds)}
        UNION ALL
        SELECT * FROM unnest(${additionalContents.map(({ tenantId }) => tenantId)}::int[],
          ${additionalContents.map(({ contentHash }) => contentHash)}::text[])) AS contents (tenant_id, content_hash)
      ORDER BY tenant, content)
    SELECT tenant, content, pg_advisory_xact_lock(tenant, content) FROM lock_keys`.execute(transaction);
  return rows;
}

/** SQL expression for a 31-bit number from the start of a hash. A collision only makes two files share a lock. */
function contentKey(contentHash: RawBuilder<unknown>): RawBuilder<number> {
  return sql`(('x' || left(${contentHash}, 8))::bit(32)::int & 2147483647)`;
}

/** Columns of the lock keys of `contents`. */
const lockKeys = sql`tenant_id AS tenant, ${contentKey(sql`content_hash`)} AS content`;

/** Name of a rendition's file: a hash of 64 characters, a hyphen, and the rest. */
const fileName = sql`split_part(r.storage_key, '/', -1)`;

/**
 * Selects the images' own content, and the content whose hash is in the names of their rendition files. Does not use a regular
 * expression: to estimate its result, the planner would match it against a sample of all keys, which takes milliseconds.
 */
function selectContents(imageIds: readonly number[]): RawBuilder<unknown> {
  const [id] = imageIds;
  // A list would be planned again for each transaction, because its length matters to the planner.
  const isOneOf = (column: RawBuilder<unknown>) =>
    imageIds.length === 1 ? sql`${column} = ${id}::bigint` : sql`${column} = ANY (${imageIds}::bigint[])`;
  return sql`
    SELECT tenant_id, content_hash FROM images WHERE ${isOneOf(sql`id`)} AND content_hash IS NOT NULL
    UNION ALL
    SELECT i.tenant_id, left(${fileName}, 64) FROM renditions r JOIN images i ON i.id = r.image_id
    WHERE ${isOneOf(sql`r.image_id`)} AND substr(${fileName}, 65, 1) = '-'
      AND translate(left(${fileName}, 64), '0123456789abcdef', '') = ''`;
}
