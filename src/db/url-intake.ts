import { type RawBuilder, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { DuplicateHandling } from '../model/import.ts';
import type { ImportOutcome } from '../model/import.ts';
import type { ClaimedJob, DueJob, JobState } from '../model/job.ts';
import type { PictureFacts } from '../model/picture.ts';
import { lockContent } from './content-lock.ts';
import type { Database, Queryable } from './database.ts';
import { lockHeldJob } from './job-rows.ts';
import { changedMeanwhile, retryingTransaction } from './retrying.ts';

/** A URL that is about to be imported. */
export interface UrlLine {
  readonly tenantId: number;
  /** Normalised. */
  readonly url: string;
  /** SHA-256 of the URL, hexadecimal. */
  readonly urlHash: string;
  readonly reference: string | undefined;
}

/** What a URL led to. `refused`: a run is in work, and the policy allows no other. */
export interface RecordedUrl {
  readonly outcome: ImportOutcome;
  readonly imageId: number;
  /** The job that a `new` run began with. */
  readonly job: DueJob | undefined;
}

/** Content that an import brought, and that lies in storage. */
export interface FetchedContent {
  readonly contentHash: string;
  readonly originalKey: string;
  readonly bytes: number;
  readonly filename: string;
  readonly facts: PictureFacts;
}

/** Recording of imports by URL. */
export type UrlIntakeQueries = ReturnType<typeof makeUrlIntakeQueries>;

interface Run {
  readonly id: number;
  readonly status: JobState;
}

/** Recording of imports by URL: an image without content and its job come into being together. */
export function makeUrlIntakeQueries({ sql: db }: Database) {
  return {
    /**
     * Records URLs, each with the policy's answer to what was imported before; one transaction, so that either all of
     * them are taken in or none. The same URL twice is one run, unless the policy always begins anew.
     */
    record: (
      lines: readonly UrlLine[],
      handling: DuplicateHandling,
      priority: number,
    ): Promise<RecordedUrl[]> =>
      retryingTransaction(db, async (transaction) => {
        await lockUrls(transaction, lines);
        const known =
          handling === 'allow-retry' ? new Map<string, Run>() : await findRuns(transaction, lines);
        const decided = lines.map((line) => decide(line, handling, known));
        const fresh = decided.filter(({ outcome }) => outcome === 'new');
        const runs = await insertRuns(
          transaction,
          fresh.map(({ line }) => line),
          priority,
        );
        fresh.forEach((entry, index) => Object.assign(entry, runs[index]));
        await addReferences(transaction, decided);
        return decided.map(({ outcome, job, imageId, first }) => ({
          outcome,
          imageId: first?.imageId ?? imageId,
          job,
        }));
      }),

    /**
     * Gives an import's image its content; when a living image of the tenant has it already, as a duplicate of that one.
     * False when the lease was lost.
     */
    attach: (job: ClaimedJob, content: FetchedContent): Promise<boolean> =>
      retryingTransaction(db, async (transaction) => {
        await lockContent(transaction, job.tenantId, content.contentHash);
        if (!(await lockHeldJob(transaction, job))) return false;
        const { facts } = content;
        await sql`
          UPDATE images SET content_hash = ${content.contentHash}, original_key = ${content.originalKey},
            original_bytes = ${content.bytes}, original_filename = ${content.filename}, width = ${facts.width},
            height = ${facts.height}, format = ${facts.format}, frames = ${facts.frames},
            color_space = ${facts.colorSpace}, has_alpha = ${facts.hasAlpha}, bit_depth = ${facts.bitDepth},
            updated_at = now(), duplicate_of = (
              SELECT first.id FROM images first WHERE first.tenant_id = ${job.tenantId}
                AND first.content_hash = ${content.contentHash} AND first.deleted_at IS NULL AND first.duplicate_of IS NULL
                AND first.id <> images.id)
          WHERE id = ${job.imageId}`.execute(transaction);
        return true;
      }),
  };
}

interface Decision {
  readonly line: UrlLine;
  readonly outcome: ImportOutcome;
  imageId: number;
  job?: DueJob | undefined;
  /** An earlier line with the same URL, whose run serves this one too. */
  readonly first?: Decision | undefined;
}

/** Two requests for the same URLs wait for each other: both would begin a run. */
async function lockUrls(transaction: Queryable, lines: readonly UrlLine[]): Promise<void> {
  // In one order for everybody, or two imports could wait for each other for ever.
  const tenants = [...new Set(lines.map(({ tenantId }) => tenantId))].toSorted((a, b) => a - b);
  for (const tenant of tenants)
    await sql`SELECT pg_advisory_xact_lock(${urlLock}::int, ${tenant}::int)`.execute(transaction);
}

/** Content locks take a tenant's number first, so no content lock has this pair of numbers: tenants count up from 1. */
const urlLock = -1;

const keyOf = ({ tenantId, urlHash }: Pick<UrlLine, 'tenantId' | 'urlHash'>) => `${tenantId}/${urlHash}`;

/** The latest run of each URL. */
async function findRuns(transaction: Queryable, lines: readonly UrlLine[]): Promise<Map<string, Run>> {
  const { rows } = await sql<Run & { tenantId: number; urlHash: string }>`
    SELECT DISTINCT ON (i.tenant_id, i.url_hash) i.tenant_id AS "tenantId", i.url_hash AS "urlHash", i.id, i.status
    FROM ${lineTable(lines)} JOIN images i
      ON i.tenant_id = line."tenantId" AND i.url_hash = line."urlHash" AND i.deleted_at IS NULL
    ORDER BY i.tenant_id, i.url_hash, i.id DESC`.execute(transaction);
  return new Map(rows.map((row) => [keyOf(row), row]));
}

function lineTable(lines: readonly UrlLine[]): RawBuilder<unknown> {
  return sql`jsonb_to_recordset(${JSON.stringify(lines)}::jsonb)
    AS line ("tenantId" int, url text, "urlHash" text, uuid uuid, reference text, place int)`;
}

/** What the policy says to one line; `known` learns of the runs that begin here. */
function decide(
  line: UrlLine,
  handling: DuplicateHandling,
  known: Map<string, Run & { decision?: Decision }>,
): Decision {
  const run = known.get(keyOf(line));
  const isActive = run?.status === 'pending' || run?.status === 'processing';
  if (run && isActive) {
    const outcome = handling === 'reject-active' ? 'refused' : 'active';
    return { line, outcome, imageId: run.id, first: run.decision };
  }
  if (run?.status === 'completed' && handling === 'reuse-completed')
    return { line, outcome: 'known', imageId: run.id };
  const decision: Decision = { line, outcome: 'new', imageId: 0 };
  if (handling !== 'allow-retry') known.set(keyOf(line), { id: 0, status: 'pending', decision });
  return decision;
}

/** Images and their jobs, in the order of the lines. */
async function insertRuns(
  transaction: Queryable,
  lines: readonly UrlLine[],
  priority: number,
): Promise<{ imageId: number; job: DueJob }[]> {
  if (lines.length === 0) return [];
  const numbered = lines.map((line, place) => ({ ...line, place, uuid: uuidv7() }));
  const { rows } = await sql<{ imageId: number; jobId: number }>`
    WITH line AS (SELECT * FROM ${lineTable(numbered)}),
    made AS (
      INSERT INTO images (uuid, tenant_id, status, source_url, url_hash)
      SELECT uuid, "tenantId", 'pending', url, "urlHash" FROM line ORDER BY place
      RETURNING id, uuid, tenant_id),
    queued AS (
      INSERT INTO jobs (kind, image_id, tenant_id, priority, state)
      SELECT 'import', id, tenant_id, ${priority}::smallint, 'pending' FROM made ORDER BY id
      RETURNING id, image_id)
    SELECT made.id AS "imageId", queued.id AS "jobId"
    FROM made JOIN queued ON queued.image_id = made.id JOIN line ON line.uuid = made.uuid
    ORDER BY line.place`.execute(transaction);
  return rows.map(({ imageId, jobId }) => ({ imageId, job: { id: jobId, kind: 'import' } }));
}

/** Adds the references of the lines to their images. If a known image is removed meanwhile, its line starts over. */
async function addReferences(transaction: Queryable, decided: readonly Decision[]): Promise<void> {
  const wanted = decided
    .filter(({ outcome, line }) => outcome !== 'refused' && line.reference !== undefined)
    .map((entry) => ({ imageId: (entry.first ?? entry).imageId, reference: entry.line.reference }));
  if (wanted.length === 0) return;
  const imageIds = [...new Set(wanted.map(({ imageId }) => imageId))];
  const living = await sql`
    SELECT 1 FROM images WHERE id = ANY (${imageIds}::bigint[]) AND deleted_at IS NULL
    ORDER BY id FOR UPDATE`.execute(transaction);
  if (living.rows.length < imageIds.length) throw changedMeanwhile();
  await sql`
    WITH wanted AS (
      SELECT DISTINCT "imageId" AS image_id, reference
      FROM jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) AS line ("imageId" bigint, reference text)),
    added AS (
      INSERT INTO image_references (image_id, reference) SELECT image_id, reference FROM wanted
      ON CONFLICT DO NOTHING RETURNING image_id),
    counted AS (
      UPDATE images SET in_use_count = in_use_count + fresh.count
      FROM (SELECT image_id, count(*) AS count FROM added GROUP BY image_id) fresh
      WHERE images.id = fresh.image_id RETURNING images.tenant_id)
    UPDATE tenants SET uses_references = true
    WHERE id IN (SELECT tenant_id FROM counted) AND NOT uses_references`.execute(transaction);
}
