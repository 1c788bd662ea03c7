import { type RawBuilder, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { ImportLine, ImportRef, ImportReport } from '../model/import.ts';
import type { JobState } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { Database } from './database.ts';
import { isVisibleTo } from './lists.ts';

/** Queries for imports. One import can have many URLs. */
export type ImportQueries = ReturnType<typeof makeImportQueries>;

/** @see ImportQueries */
export function makeImportQueries({ sql: db }: Database) {
  return {
    /** Records an import and the outcome of each line. */
    async record(
      principal: Principal,
      lines: readonly ImportLine[],
    ): Promise<{ id: number; uuid: string; createdAt: Date }> {
      return db.transaction().execute(async (transaction) => {
        const { rows } = await sql<{ id: number; uuid: string; createdAt: Date }>`
          INSERT INTO imports (uuid, tenant_id, total)
          VALUES (${uuidv7()}, ${principal.tenantId}, ${lines.length}) RETURNING id, uuid, created_at AS "createdAt"`.execute(
          transaction,
        );
        const [insertedImport] = rows;
        if (!insertedImport) throw new Error('The import was not recorded.');
        // Not in the same statement, because the policy for the lines looks the import up.
        await sql`
          INSERT INTO import_lines (import_id, line, url, tenant, reference, outcome, image_id, error_code, error)
          SELECT ${insertedImport.id}, l.line, l.url, l.tenant, l.reference, l.outcome, l."imageId", l.code, l.error
          FROM jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) AS l
            (line int, url text, tenant text, reference text, outcome text, "imageId" bigint, code text, error text)`.execute(
          transaction,
        );
        return insertedImport;
      });
    },

    /** Finds an import and one page of its failed lines. */
    async find(
      principal: Principal,
      ref: ImportRef,
      page: { readonly limit: number; readonly offset: number },
    ): Promise<ImportReport | undefined> {
      const { rows } = await sql<Pick<ImportReport, 'id' | 'uuid' | 'total' | 'createdAt'>>`
        SELECT id, uuid, total, created_at AS "createdAt" FROM imports
        WHERE ${identifiedBy(ref)} AND ${isVisibleTo(principal, 'tenant_id')}`.execute(db);
      const [row] = rows;
      if (!row) return undefined;
      const { refused = 0, ...images } = await countOutcomes(row.id);
      const failures = await listFailures(row.id, page);
      return {
        ...row,
        refused,
        images: { pending: 0, processing: 0, completed: 0, failed: 0, ...images },
        failures,
        failuresTotal: refused + (images.failed ?? 0),
      };
    },
  };

  /** Counts the rejected lines, and the other lines by image status. Lines whose image was deleted are left out. */
  async function countOutcomes(importId: number): Promise<Partial<Record<JobState | 'refused', number>>> {
    const { rows } = await sql<{ state: JobState | 'refused'; count: number }>`
      SELECT CASE WHEN l.outcome = 'refused' THEN 'refused' ELSE i.status END AS state, count(*) AS count
      FROM import_lines l LEFT JOIN images i ON i.id = l.image_id AND i.deleted_at IS NULL
      WHERE l.import_id = ${importId} AND (l.outcome = 'refused' OR i.id IS NOT NULL) GROUP BY 1`.execute(db);
    return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
  }

  /** Lists lines that were rejected or whose image failed. */
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

function identifiedBy(ref: ImportRef): RawBuilder<boolean> {
  return 'id' in ref ? sql`id = ${ref.id}` : sql`uuid = ${ref.uuid}`;
}
