import { sql } from 'kysely';
import type { Database } from './database.ts';

/** Queries on what this database is. */
export type InstallationQueries = ReturnType<typeof makeInstallationQueries>;

/** @see InstallationQueries */
export function makeInstallationQueries({ sql: db }: Database) {
  return {
    /** The id of this installation, and whether its storage carries it. */
    async find(): Promise<{ readonly id: string; readonly isStorageMarked: boolean }> {
      const { rows } = await sql<{ id: string; isStorageMarked: boolean }>`
        SELECT id, storage_marked_at IS NOT NULL AS "isStorageMarked" FROM installation`.execute(db);
      const [row] = rows;
      if (!row) throw new Error('The table of the installation has no row.');
      return row;
    },

    /** From now on a storage without the id is a wrong one. */
    async noteStorageMarked(): Promise<void> {
      await sql`UPDATE installation SET storage_marked_at = now() WHERE storage_marked_at IS NULL`.execute(
        db,
      );
    },
  };
}
