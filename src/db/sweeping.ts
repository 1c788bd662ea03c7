import { type RawBuilder, sql } from 'kysely';
import { lockContent } from './images/content-lock.ts';
import type { Database } from './database.ts';
import type { DueJob, JobState } from '../model/job.ts';
import { retrying } from './engine/retrying.ts';

/** Queries of the sweeper. */
export type SweepQueries = ReturnType<typeof makeSweepQueries>;

/** Any number that no other lock has: the lock of those who fold usage. */
const usageLock = 7_239_001;

/** A stored file, and the content that its key names. */
export interface ContentFile {
  readonly key: string;
  readonly tenantId: number;
  readonly contentHash: string;
}

/** A row and the file that it says is in storage. */
export interface RecordedOriginal {
  readonly id: number;
  readonly key: string;
  readonly bytes: number;
  /** Marked as missing or cut. */
  readonly damaged: boolean;
}

/** Whether a row needs the file: an image as its original, or any image (not only one of its content) as a rendition. */
function isNamed(key: RawBuilder<unknown>, tenantId: RawBuilder<unknown>, contentHash: RawBuilder<unknown>) {
  return sql<boolean>`(EXISTS (SELECT 1 FROM images i WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash}
      AND i.original_key = ${key})
    OR EXISTS (SELECT 1 FROM renditions r WHERE r.storage_key = ${key}))`;
}

/** Queries of the sweeper: what nobody else asks for. */
export function makeSweepQueries({ sql: db, kind }: Database) {
  return {
    /**
     * Takes over jobs whose holder gave no sign of life. No retry is spent, but one that loses its worker
     * `limit` times is taken for the cause and fails. `everything`: this process is alone, so every lease is stale.
     */
    async takeOverLostLeases(
      limit: number,
      everything: boolean,
    ): Promise<{ again: DueJob[]; givenUp: number }> {
      const sentence = `The worker was lost ${limit} times while it worked on this picture.`;
      const entry = JSON.stringify({
        failureClass: 'lease-lost',
        stage: 'decode',
        code: 'worker_lost',
        error: 'The worker was lost.',
      });
      const query = sql<DueJob & { state: JobState }>`
        -- A worker that was stopped in the middle of a transaction may hold a row for long: it must not hold up the others.
        WITH stale AS MATERIALIZED (
          SELECT id FROM jobs WHERE state = 'processing' ${everything ? sql`` : sql`AND lease_until < now()`}
          FOR UPDATE SKIP LOCKED),
        lost AS (
          UPDATE jobs SET
            lease_losses = lease_losses + 1, lease_until = NULL, run_at = now(),
            history = history || jsonb_build_array(jsonb_build_object('at', now()) || ${entry}::jsonb),
            state = CASE WHEN lease_losses + 1 >= ${limit} THEN 'failed' ELSE 'pending' END,
            failure_class = CASE WHEN lease_losses + 1 >= ${limit} THEN 'lease-lost' END,
            failure_stage = CASE WHEN lease_losses + 1 >= ${limit} THEN 'decode' END,
            error_code = CASE WHEN lease_losses + 1 >= ${limit} THEN 'worker_lost' END,
            error = CASE WHEN lease_losses + 1 >= ${limit} THEN ${sentence} END,
            finished_at = CASE WHEN lease_losses + 1 >= ${limit} THEN now() END
          WHERE id = ANY (ARRAY(SELECT id FROM stale))
          RETURNING id, kind, image_id, state),
        shown AS (
          UPDATE images SET status = lost.state, error = CASE WHEN lost.state = 'failed' THEN ${sentence} END,
            error_code = CASE WHEN lost.state = 'failed' THEN 'worker_lost' END
          FROM lost WHERE images.id = lost.image_id)
        SELECT id, kind, state FROM lost`;
      const { rows } = await retrying(() => query.execute(db));
      const again = rows.filter(({ state }) => state === 'pending').map(({ id, kind }) => ({ id, kind }));
      return { again, givenUp: rows.length - again.length };
    },

    /** Of these files, those that no row names: neither an image (deleted ones count too) nor a rendition. */
    async unnamedFiles(files: readonly ContentFile[]): Promise<ContentFile[]> {
      const { rows } = await sql<{ key: string }>`
        SELECT f.key FROM jsonb_to_recordset(${JSON.stringify(files)}::jsonb)
          AS f (key text, "tenantId" int, "contentHash" text)
        WHERE ${isNamed(sql`f.key`, sql`f."tenantId"`, sql`f."contentHash"`)}`.execute(db);
      const named = new Set(rows.map(({ key }) => key));
      return files.filter(({ key }) => !named.has(key));
    },

    /** Originals of images, in pages by id. */
    async originalsAfter(id: number, limit: number): Promise<RecordedOriginal[]> {
      return db
        .selectFrom('images')
        .select(['id', 'original_key as key', 'original_bytes as bytes'])
        .select(sql<boolean>`damaged_at IS NOT NULL`.as('damaged'))
        .where('id', '>', id)
        .where('original_key', 'is not', null)
        .orderBy('id')
        .limit(limit)
        .$narrowType<RecordedOriginal>()
        .execute();
    },

    /** Runs `remove` unless a row needs the file by now; nobody can record the content meanwhile. */
    removeOrphan: (
      { tenantId, contentHash, key }: ContentFile,
      remove: () => Promise<void>,
    ): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        await lockContent(transaction, tenantId, contentHash);
        const { rows } = await sql`
          SELECT 1 WHERE ${isNamed(sql`${key}`, sql`${tenantId}`, sql`${contentHash}`)} OR EXISTS (
            -- Somebody is about to record files of this content.
            SELECT 1 FROM images i JOIN jobs j ON j.image_id = i.id AND j.state IN ('pending', 'processing')
            WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${contentHash})`.execute(transaction);
        if (rows.length > 0) return false;
        await remove();
        return true;
      }),

    /**
     * Whether this process shall make a pass over all data now: false when another one began it less than nine tenths of
     * `everySeconds` ago. (Not the whole time: clocks of timers differ a little.)
     */
    async beginPass(name: string, everySeconds: number): Promise<boolean> {
      const { rows } = await sql`
        INSERT INTO sweep_passes (name) VALUES (${name})
        ON CONFLICT (name) DO UPDATE SET begun_at = now()
        WHERE sweep_passes.begun_at < now() - make_interval(secs => ${0.9 * everySeconds})
        RETURNING name`.execute(db);
      return rows.length > 0;
    },

    /** Frees dead rows and counts the living ones: the embedded engine has nobody else who does; a server has. */
    async vacuum(): Promise<void> {
      if (kind === 'embedded') await sql`VACUUM (ANALYZE)`.execute(db);
    },

    /** Adds the deltas of usage up, so that few rows are read for a figure. One holder at a time; others skip. */
    foldUsage: (): Promise<void> =>
      db.transaction().execute(async (transaction) => {
        const { rows } = await sql<{ mine: boolean }>`
          SELECT pg_try_advisory_xact_lock(${usageLock}) AS mine`.execute(transaction);
        if (!rows[0]?.mine) return;
        await sql`
          WITH moved AS (DELETE FROM usage_deltas RETURNING tenant_id, kind, preset, count, bytes)
          INSERT INTO usage_totals (tenant_id, kind, preset, count, bytes)
          SELECT tenant_id, kind, preset, sum(count), sum(bytes) FROM moved GROUP BY tenant_id, kind, preset
          ON CONFLICT (tenant_id, kind, preset) DO UPDATE SET count = usage_totals.count + excluded.count,
            bytes = usage_totals.bytes + excluded.bytes`.execute(transaction);
      }),

    /** What the database is, for health reports. */
    async describeDatabase(): Promise<{ kind: string; version: string; pgvector: string | null }> {
      const { rows } = await sql<{ version: string; pgvector: string | null }>`
        SELECT current_setting('server_version') AS version,
          (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector`.execute(db);
      const found = rows[0];
      return { kind, version: found?.version ?? '', pgvector: found?.pgvector ?? null };
    },

    async isAlive(): Promise<void> {
      await sql`SELECT 1`.execute(db);
    },
  };
}
