import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { ImportLine, ImportReference, ImportReport } from '../model/import.ts';
import type { JobState } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { Database } from './database.ts';

/** Queries on imports of many URLs. */
export type ImportQueries = ReturnType<typeof makeImportQueries>;

interface ImportRow {
  readonly id: number;
  readonly uuid: string;
  readonly createdAt: Date;
  readonly total: number;
}

/** Queries on imports of many URLs. */
export function makeImportQueries({ sql: db }: Database) {
  return {
    /** Keeps what became of each line. */
    async record(
      principal: Principal,
      lines: readonly ImportLine[],
    ): Promise<{ id: number; uuid: string; createdAt: Date }> {
      const { rows } = await sql<{ id: number; uuid: string; createdAt: Date }>`
        WITH made AS (
          INSERT INTO imports (uuid, tenant_id, total)
          VALUES (${uuidv7()}, ${principal.tenantId}, ${lines.length}) RETURNING id, uuid, created_at),
        listed AS (
          INSERT INTO import_lines (import_id, line, url, tenant, reference, outcome, image_id, error_code, error)
          SELECT made.id, l.line, l.url, l.tenant, l.reference, l.outcome, l."imageId", l.code, l.error
          FROM made CROSS JOIN jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) AS l
            (line int, url text, tenant text, reference text, outcome text, "imageId" bigint, code text, error text))
        SELECT id, uuid, created_at AS "createdAt" FROM made`.execute(db);
      const made = rows[0];
      if (!made) throw new Error('The import was not recorded.');
      return made;
    },

    /** An import with a page of its failures. */
    async find(
      principal: Principal,
      reference: ImportReference,
      page: { readonly limit: number; readonly offset: number },
    ): Promise<ImportReport | undefined> {
      const named = 'id' in reference ? sql`id = ${reference.id}` : sql`uuid = ${reference.uuid}`;
      const visible = principal.tenantId === null ? sql`true` : sql`tenant_id = ${principal.tenantId}`;
      const found = await sql<ImportRow>`
        SELECT id, uuid, total, created_at AS "createdAt" FROM imports WHERE ${named} AND ${visible}`.execute(
        db,
      );
      const row = found.rows[0];
      if (!row) return undefined;
      const counts = await countStates(row.id);
      const failures = await listFailures(row.id, page);
      const { refused = 0, ...images } = counts;
      return {
        ...row,
        refused,
        images: { pending: 0, processing: 0, completed: 0, failed: 0, ...images },
        failures,
        failuresTotal: refused + (images.failed ?? 0),
      };
    },
  };

  async function countStates(importId: number): Promise<Partial<Record<JobState | 'refused', number>>> {
    const { rows } = await sql<{ state: JobState | 'refused'; count: number }>`
      SELECT CASE WHEN l.outcome = 'refused' THEN 'refused' ELSE i.status END AS state, count(*) AS count
      FROM import_lines l LEFT JOIN images i ON i.id = l.image_id AND i.deleted_at IS NULL
      WHERE l.import_id = ${importId} AND (l.outcome = 'refused' OR i.id IS NOT NULL) GROUP BY 1`.execute(db);
    return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
  }

  async function listFailures(
    importId: number,
    { limit, offset }: { readonly limit: number; readonly offset: number },
  ): Promise<ImportLine[]> {
    const { rows } = await sql<ImportLine>`
      SELECT l.line, l.url, l.tenant, l.reference, l.outcome, l.image_id AS "imageId",
        coalesce(l.error_code, i.error_code) AS code, coalesce(l.error, i.error) AS error
      FROM import_lines l LEFT JOIN images i ON i.id = l.image_id AND i.deleted_at IS NULL
      WHERE l.import_id = ${importId} AND (l.outcome = 'refused' OR i.status = 'failed')
      ORDER BY l.line LIMIT ${limit} OFFSET ${offset}`.execute(db);
    return rows;
  }
}
