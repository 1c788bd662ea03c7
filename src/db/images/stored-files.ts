import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database.ts';
import { lockContent } from './content-lock.ts';

/** Queries that compare stored files with the rows that use them. */
export type StoredFileQueries = ReturnType<typeof makeStoredFileQueries>;

/** A stored file, and the content identified by its key. */
export interface ContentFile {
  readonly key: string;
  readonly tenantId: number;
  readonly contentHash: string;
}

/** An image's original, as recorded in the database. */
export interface RecordedOriginal {
  /** Id of the image. */
  readonly id: number;
  readonly key: string;
  readonly bytes: number;
  /** Whether the image is marked as damaged. An image is marked if its original is missing or has changed. */
  readonly damaged: boolean;
}

/** @see StoredFileQueries */
export function makeStoredFileQueries({ sql: db }: Database) {
  return {
    /** Returns the files that no row uses. Files of soft-deleted images count as used. */
    async listUnused(files: readonly ContentFile[]): Promise<ContentFile[]> {
      const { rows } = await sql<{ key: string }>`
        SELECT f.key FROM jsonb_to_recordset(${JSON.stringify(files)}::jsonb)
          AS f (key text, "tenantId" int, "contentHash" text)
        WHERE ${isUsed(sql`f.key`, sql`f."tenantId"`, sql`f."contentHash"`)}`.execute(db);
      const usedKeys = new Set(rows.map(({ key }) => key));
      return files.filter(({ key }) => !usedKeys.has(key));
    },

    /** Lists originals whose image id is greater than `id`, ordered by image id. */
    async listOriginalsAfter(id: number, limit: number): Promise<RecordedOriginal[]> {
      const { rows } = await sql<RecordedOriginal>`
        SELECT id, original_key AS key, original_bytes AS bytes, damaged_at IS NOT NULL AS damaged FROM images
        WHERE id > ${id} AND original_key IS NOT NULL ORDER BY id LIMIT ${limit}`.execute(db);
      return rows;
    },

    /**
     * Calls `remove` unless a row uses the file or an active job may be about to record it. Jobs that make variants check
     * themselves that the files that they record are there. The content is locked until
     * `remove` has finished, so that no transaction records the file in the meantime. Returns whether the file was removed.
     */
    removeUnused: (
      { tenantId, contentHash, key }: ContentFile,
      remove: () => Promise<void>,
    ): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        await lockContent(transaction, tenantId, contentHash);
        const { rows } = await sql`
          SELECT 1 WHERE ${isUsed(sql`${key}`, sql`${tenantId}`, sql`${contentHash}`)} OR EXISTS (
            SELECT 1 FROM images i JOIN jobs j ON j.image_id = i.id AND j.kind <> 'render' AND j.state IN ('pending', 'processing')
            WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash})`.execute(transaction);
        if (rows.length > 0) return false;
        await remove();
        return true;
      }),
  };
}

/** Condition that is true if a row uses the file, either as the original of an image with this content or as a rendition. */
function isUsed(
  key: RawBuilder<unknown>,
  tenantId: RawBuilder<unknown>,
  contentHash: RawBuilder<unknown>,
): RawBuilder<boolean> {
  return sql`(EXISTS (SELECT 1 FROM images i WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash}
      AND i.original_key = ${key})
    OR EXISTS (SELECT 1 FROM renditions r WHERE r.storage_key = ${key}))`;
}
