import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database.ts';
import { lockContent } from './content-lock.ts';

/** Queries that compare the files in storage with the rows that use them. */
export type StoredFileQueries = ReturnType<typeof makeStoredFileQueries>;

/** A stored file, and the content that its key contains. */
export interface ContentFile {
  readonly key: string;
  readonly tenantId: number;
  readonly contentHash: string;
}

/** The original that storage should hold for an image. */
export interface RecordedOriginal {
  /** Id of the image. */
  readonly id: number;
  readonly key: string;
  readonly bytes: number;
  /** Whether the image is marked: its original was found missing or cut. */
  readonly damaged: boolean;
}

/** @see StoredFileQueries */
export function makeStoredFileQueries({ sql: db }: Database) {
  return {
    /** Returns those of these files that no row uses. The rows of deleted images count. */
    async listUnused(files: readonly ContentFile[]): Promise<ContentFile[]> {
      const { rows } = await sql<{ key: string }>`
        SELECT f.key FROM jsonb_to_recordset(${JSON.stringify(files)}::jsonb)
          AS f (key text, "tenantId" int, "contentHash" text)
        WHERE ${isUsed(sql`f.key`, sql`f."tenantId"`, sql`f."contentHash"`)}`.execute(db);
      const used = new Set(rows.map(({ key }) => key));
      return files.filter(({ key }) => !used.has(key));
    },

    /** Lists originals in the order of their images' ids, after `id`. */
    async originalsAfter(id: number, limit: number): Promise<RecordedOriginal[]> {
      const { rows } = await sql<RecordedOriginal>`
        SELECT id, original_key AS key, original_bytes AS bytes, damaged_at IS NOT NULL AS damaged FROM images
        WHERE id > ${id} AND original_key IS NOT NULL ORDER BY id LIMIT ${limit}`.execute(db);
      return rows;
    },

    /**
     * Calls `remove` unless a row uses the file or a job may be about to record it. Holds the lock of the content until
     * `remove` is done, so the file cannot be recorded meanwhile. Returns whether the file was removed.
     */
    removeUnused: (
      { tenantId, contentHash, key }: ContentFile,
      remove: () => Promise<void>,
    ): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        await lockContent(transaction, tenantId, contentHash);
        const { rows } = await sql`
          SELECT 1 WHERE ${isUsed(sql`${key}`, sql`${tenantId}`, sql`${contentHash}`)} OR EXISTS (
            SELECT 1 FROM images i JOIN jobs j ON j.image_id = i.id AND j.state IN ('pending', 'processing')
            WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash})`.execute(transaction);
        if (rows.length > 0) return false;
        await remove();
        return true;
      }),
  };
}

/** Whether a row uses the file: an image with this content as its original, or any image as a rendition. */
function isUsed(
  key: RawBuilder<unknown>,
  tenantId: RawBuilder<unknown>,
  contentHash: RawBuilder<unknown>,
): RawBuilder<boolean> {
  return sql`(EXISTS (SELECT 1 FROM images i WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash}
      AND i.original_key = ${key})
    OR EXISTS (SELECT 1 FROM renditions r WHERE r.storage_key = ${key}))`;
}
