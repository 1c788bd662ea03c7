import { type RawBuilder, sql } from 'kysely';
import type { Database, Queryable } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { lockImageFiles } from '../images/content-lock.ts';

/** Queries that remove renditions of images that are kept. */
export type RenditionRemovalQueries = ReturnType<typeof makeRenditionRemovalQueries>;

/** A rendition that could be removed. */
export interface RemovableRendition {
  readonly id: number;
  readonly imageId: number;
  readonly storageKey: string;
  readonly bytes: number;
}

/**
 * The condition under which a rendition may be removed. It is checked again immediately before. `on-request`: it can be
 * made again when it is next requested. `supersededDays`: it was replaced by one with another recipe at least this many days ago.
 */
export type RemovalReason = 'on-request' | { readonly supersededDays: number };

/** @see RenditionRemovalQueries */
export function makeRenditionRemovalQueries({ sql: db }: Database) {
  return {
    /** Returns the total size of the files that were made on request. */
    async sumOnRequestBytes(): Promise<number> {
      const { rows } = await sql<{ bytes: number }>`
        SELECT coalesce(sum(bytes), 0)::bigint AS bytes FROM renditions WHERE is_on_request AND NOT shared`.execute(
        db,
      );
      return rows[0]?.bytes ?? 0;
    },

    /** Lists renditions that may be removed: the least recently served first, or those superseded first. */
    async list(reason: RemovalReason, limit: number): Promise<RemovableRendition[]> {
      const order = reason === 'on-request' ? sql`served_at NULLS FIRST, id` : sql`superseded_at`;
      const { rows } = await sql<RemovableRendition>`
        SELECT id, image_id AS "imageId", storage_key AS "storageKey", bytes FROM renditions
        WHERE ${mayBeRemoved(reason)} ORDER BY ${order} LIMIT ${limit}`.execute(db);
      return rows;
    },

    /**
     * Removes the row of a rendition. The caller then removes the file unless it is still used.
     * @returns `still-shared` if another image owns the file, so that no space becomes free; `undefined`, and nothing is changed,
     *   if the reason no longer applies
     */
    remove: (
      { id, imageId }: Pick<RemovableRendition, 'id' | 'imageId'>,
      reason: RemovalReason,
    ): Promise<'removed' | 'still-shared' | undefined> =>
      retryingTransaction(db, async (transaction) => {
        await lockImageFiles(transaction, [imageId]);
        const { rows } = await sql<{ storageKey: string; isShared: boolean }>`
          DELETE FROM renditions WHERE id = ${id} AND ${mayBeRemoved(reason)}
          RETURNING storage_key AS "storageKey", shared AS "isShared"`.execute(transaction);
        const [removed] = rows;
        if (!removed) return undefined;
        const isPassedOn = await passOnFile(transaction, removed.storageKey);
        return removed.isShared || isPassedOn ? 'still-shared' : 'removed';
      }),
  };
}

function mayBeRemoved(reason: RemovalReason): RawBuilder<boolean> {
  return reason === 'on-request'
    ? sql`is_on_request`
    : sql`superseded_at IS NOT NULL AND superseded_at < now() - make_interval(days => ${reason.supersededDays})`;
}

/** Makes the oldest rendition that uses a file its owner, unless the file already has one. Returns whether it did. */
async function passOnFile(transaction: Queryable, storageKey: string): Promise<boolean> {
  const { rows } = await sql`
    UPDATE renditions SET shared = false WHERE NOT is_owned_elsewhere(${storageKey}, 0) AND id = (
      SELECT r.id FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
      WHERE r.storage_key = ${storageKey} ORDER BY r.id LIMIT 1) RETURNING id`.execute(transaction);
  return rows.length > 0;
}
