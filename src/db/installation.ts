import { sql } from 'kysely';
import type { Database } from './database.ts';

/** Queries that concern the installation or the database as a whole. */
export type InstallationQueries = ReturnType<typeof makeInstallationQueries>;

/** @see InstallationQueries */
export function makeInstallationQueries({ sql: db, kind }: Database) {
  return {
    /** Returns the id of this installation, and whether storage has been marked with it. */
    async find(): Promise<{ readonly id: string; readonly isStorageMarked: boolean }> {
      const { rows } = await sql<{ id: string; isStorageMarked: boolean }>`
        SELECT id, storage_marked_at IS NOT NULL AS "isStorageMarked" FROM installation`.execute(db);
      const [row] = rows;
      if (!row) throw new Error('The installation table is empty.');
      return row;
    },

    /** Records that storage has been marked. From then on, a missing mark means that the storage location is wrong. */
    async recordStorageMarked(): Promise<void> {
      await sql`UPDATE installation SET storage_marked_at = now() WHERE storage_marked_at IS NULL`.execute(
        db,
      );
    },

    /** Throws if the database does not respond. */
    async ping(): Promise<void> {
      await sql`SELECT 1`.execute(db);
    },

    /** Returns the database's kind and versions, for health reports. */
    async describe(): Promise<{ kind: string; version: string; pgvector: string | null }> {
      const { rows } = await sql<{ version: string; pgvector: string | null }>`
        SELECT current_setting('server_version') AS version,
          (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector`.execute(db);
      return { kind, version: rows[0]?.version ?? '', pgvector: rows[0]?.pgvector ?? null };
    },

    /**
     * Records the start of a sweep pass, unless a process started the same pass less than 0.9 × `everySeconds` ago. Returns
     * whether the caller should run the pass. Without the factor, a timer that fires slightly early would cause a pass to be
     * skipped.
     */
    async claimSweepPass(name: string, everySeconds: number): Promise<boolean> {
      const { rows } = await sql`
        INSERT INTO sweep_passes (name) VALUES (${name})
        ON CONFLICT (name) DO UPDATE SET begun_at = now()
        WHERE sweep_passes.begun_at < now() - make_interval(secs => ${0.9 * everySeconds})
        RETURNING name`.execute(db);
      return rows.length > 0;
    },

    /**
     * Analyzes the tables of the embedded database that have grown by half since the last time, because it has no autovacuum.
     * This also makes PostgreSQL plan prepared statements again. Otherwise, a new database would keep the plans made for its
     * empty tables, which read whole tables. Samples few rows of each table, because no other query can run meanwhile.
     */
    async analyzeGrownTables(): Promise<void> {
      if (kind !== 'embedded') return;
      const { rows } = await sql<{ name: string }>`
        SELECT format('%I.%I', stats.schemaname, stats.relname) AS name
        FROM pg_stat_user_tables AS stats JOIN pg_class ON pg_class.oid = stats.relid
        WHERE stats.n_mod_since_analyze > 100 + 0.5 * greatest(pg_class.reltuples, 0)`.execute(db);
      for (const { name } of rows)
        await db.transaction().execute(async (transaction) => {
          await sql`SET LOCAL default_statistics_target = 10`.execute(transaction);
          await sql`ANALYZE ${sql.raw(name)}`.execute(transaction);
        });
    },

    /** Vacuums and analyzes the embedded database, which has no autovacuum. Does nothing for a PostgreSQL server. */
    async vacuum(): Promise<void> {
      if (kind === 'embedded') await sql`VACUUM (ANALYZE)`.execute(db);
    },
  };
}
