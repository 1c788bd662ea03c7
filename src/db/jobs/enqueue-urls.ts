import { type RawBuilder, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { DuplicatePolicy } from '../../model/import.ts';
import type { ImportOutcome } from '../../model/import.ts';
import type { DueJob, JobState } from '../../model/job.ts';
import type { AppError } from '../../errors.ts';
import { noQuotas, type Quotas } from '../../model/quota.ts';
import { type Actor, insertAudit } from '../audit.ts';
import type { Database, Queryable } from '../database.ts';
import { rowsChangedError, retryingTransaction } from '../engine/retrying.ts';
import {
  addImportCounts,
  countImportsToday,
  findExceededQuota,
  importQuotaExceeded,
  lockQuotas,
  readStoredAmount,
} from '../quotas.ts';

/** One line of an import: a URL to download. */
export interface UrlLine {
  readonly tenantId: number;
  /** The normalised URL. */
  readonly url: string;
  /** Hexadecimal SHA-256 of the URL. */
  readonly urlHash: string;
  readonly reference: string | undefined;
}

/**
 * The outcome of a line. `refused` means that the URL is already being imported and the policy rejects a second import or, if
 * there is a `quotaError`, that the tenant has no room for another import.
 */
export interface EnqueuedUrl {
  readonly outcome: ImportOutcome;
  /** 0 with a `quotaError`. */
  readonly imageId: number;
  readonly quotaError?: AppError | undefined;
  /** The new job, if the outcome is `new`. */
  readonly job: DueJob | undefined;
}

/** Creates the query that inserts pending import jobs. */
export function makeEnqueueUrlQueries({ sql: db }: Database) {
  return {
    /**
     * Inserts an image (without content) and a job for each new import, and adds each line's reference to the line's image.
     * All changes are made in one transaction. The policy determines whether a URL that was imported before is imported
     * again. Returns one outcome per line.
     * @param quotas quotas by tenant id; tenants without an entry have none
     */
    enqueueUrls: (
      actor: Actor,
      lines: readonly UrlLine[],
      policy: DuplicatePolicy,
      priority: number,
      quotas: ReadonlyMap<number, Quotas> = new Map(),
    ): Promise<EnqueuedUrl[]> =>
      retryingTransaction(db, async (transaction) => {
        await lockImports(transaction, lines);
        const latestImages =
          policy === 'allow-retry'
            ? new Map<string, ImportedImage>()
            : await findLatestImages(transaction, lines);
        const claimImport = await makeClaimImport(transaction, lines, quotas);
        const decisions = lines.map((line) => applyPolicy(line, policy, latestImages, claimImport));
        const newDecisions = decisions.filter(({ outcome }) => outcome === 'new');
        const insertedImports = await insertImports(
          transaction,
          actor,
          newDecisions.map(({ line }) => line),
          priority,
        );
        newDecisions.forEach((decision, index) => Object.assign(decision, insertedImports[index]));
        await addReferences(transaction, decisions);
        return decisions.map(({ outcome, job, imageId, earlierDecision, quotaError }) => ({
          outcome,
          imageId: earlierDecision?.imageId ?? imageId,
          job,
          ...(quotaError && { quotaError }),
        }));
      }),
  };
}

/** An image that has been imported or is being imported from a URL. */
interface ImportedImage {
  readonly id: number;
  readonly status: JobState;
  /** The decision for the earlier line that inserts the image, if the image does not have an id yet. */
  readonly decision?: Decision;
}

interface Decision {
  readonly line: UrlLine;
  readonly outcome: ImportOutcome;
  imageId: number;
  job?: DueJob | undefined;
  /** The decision for an earlier line with the same URL, whose image this line shares. */
  readonly earlierDecision?: Decision | undefined;
  readonly quotaError?: AppError;
}

/** Returns the tenants of the lines in the order in which all transactions lock them, so that two imports cannot deadlock. */
function listTenants(lines: readonly UrlLine[]): number[] {
  return [...new Set(lines.map(({ tenantId }) => tenantId))].toSorted((a, b) => a - b);
}

/** Serialises imports for the same tenant. Otherwise, two requests with the same URL would both insert an image. */
async function lockImports(transaction: Queryable, lines: readonly UrlLine[]): Promise<void> {
  for (const tenantId of listTenants(lines))
    await sql`SELECT pg_advisory_xact_lock(${importLockKey}::int, ${tenantId}::int)`.execute(transaction);
}

/**
 * First key of the locks that `lockImports` takes. Content locks never use this key, because their first key is a positive
 * tenant id.
 */
const importLockKey = -1;

const urlKey = ({ tenantId, urlHash }: Pick<UrlLine, 'tenantId' | 'urlHash'>) => `${tenantId}/${urlHash}`;

/** Returns the latest image of each URL. The map's keys are created by `urlKey`. */
async function findLatestImages(
  transaction: Queryable,
  lines: readonly UrlLine[],
): Promise<Map<string, ImportedImage>> {
  const { rows } = await sql<ImportedImage & { tenantId: number; urlHash: string }>`
    SELECT DISTINCT ON (i.tenant_id, i.url_hash) i.tenant_id AS "tenantId", i.url_hash AS "urlHash", i.id, i.status
    FROM ${lineTable(lines)} JOIN images i
      ON i.tenant_id = line."tenantId" AND i.url_hash = line."urlHash" AND i.deleted_at IS NULL
    ORDER BY i.tenant_id, i.url_hash, i.id DESC`.execute(transaction);
  return new Map(rows.map((row) => [urlKey(row), row]));
}

function lineTable(lines: readonly UrlLine[]): RawBuilder<unknown> {
  return sql`jsonb_to_recordset(${JSON.stringify(lines)}::jsonb)
    AS line ("tenantId" int, url text, "urlHash" text, uuid uuid, reference text, position int)`;
}

/** Applies the policy to one line. Adds a new import to `latestImages`, where later lines find it. */
function applyPolicy(
  line: UrlLine,
  policy: DuplicatePolicy,
  latestImages: Map<string, ImportedImage>,
  claimImport: ClaimImport,
): Decision {
  const image = latestImages.get(urlKey(line));
  if (image?.status === 'pending' || image?.status === 'processing') {
    const outcome = policy === 'reject-active' ? 'refused' : 'active';
    return { line, outcome, imageId: image.id, earlierDecision: image.decision };
  }
  if (image?.status === 'completed' && policy === 'reuse-completed')
    return { line, outcome: 'known', imageId: image.id };
  const quotaError = claimImport(line.tenantId);
  if (quotaError) return { line, outcome: 'refused', imageId: 0, quotaError };
  const decision: Decision = { line, outcome: 'new', imageId: 0 };
  if (policy !== 'allow-retry') latestImages.set(urlKey(line), { id: 0, status: 'pending', decision });
  return decision;
}

/** Takes room for one import. Returns an error if the tenant has none left. */
type ClaimImport = (tenantId: number) => AppError | undefined;

/** Creates a `ClaimImport` that counts what the lines of this transaction have taken. */
async function makeClaimImport(
  transaction: Queryable,
  lines: readonly UrlLine[],
  quotas: ReadonlyMap<number, Quotas>,
): Promise<ClaimImport> {
  const claims = new Map<number, () => AppError | undefined>();
  for (const tenantId of listTenants(lines)) {
    const tenantQuotas = quotas.get(tenantId) ?? noQuotas;
    const { images: maxImages, importsPerDay } = tenantQuotas;
    if (maxImages === null && importsPerDay === null) continue;
    await lockQuotas(transaction, tenantId);
    const stored = await readStoredAmount(transaction, tenantId);
    let { images } = stored;
    let imports = await countImportsToday(transaction, tenantId);
    claims.set(tenantId, () => {
      if (importsPerDay !== null && imports >= importsPerDay)
        return importQuotaExceeded(importsPerDay, imports);
      const error = findExceededQuota(tenantQuotas, { ...stored, images }, { images: 1 });
      if (error) return error;
      imports += 1;
      images += 1;
      return undefined;
    });
  }
  return (tenantId) => claims.get(tenantId)?.();
}

/** Inserts images and their jobs. Returns them in line order. */
async function insertImports(
  transaction: Queryable,
  actor: Actor,
  lines: readonly UrlLine[],
  priority: number,
): Promise<{ imageId: number; job: DueJob }[]> {
  if (lines.length === 0) return [];
  const numberedLines = lines.map((line, position) => ({ ...line, position, uuid: uuidv7() }));
  const { rows } = await sql<{ imageId: number; jobId: number }>`
    WITH line AS (SELECT * FROM ${lineTable(numberedLines)}),
    inserted_images AS (
      INSERT INTO images (uuid, tenant_id, status, source_url, url_hash)
      SELECT uuid, "tenantId", 'pending', url, "urlHash" FROM line ORDER BY position
      RETURNING id, uuid, tenant_id, source_url),
    -- The source is left out, because its URL may contain secrets.
    written_entries AS (${insertAudit(actor, {
      action: 'import.create',
      from: sql`inserted_images`,
      tenantId: sql`inserted_images.tenant_id`,
      target: sql`inserted_images.uuid::text`,
    })}),
    inserted_jobs AS (
      INSERT INTO jobs (kind, image_id, tenant_id, priority, state, source_host)
      SELECT 'import', id, tenant_id, ${priority}::smallint, 'pending', host_of_url(source_url)
      FROM inserted_images ORDER BY id
      RETURNING id, image_id),
    written_counts AS (${addImportCounts(sql`inserted_images`)})
    SELECT inserted_images.id AS "imageId", inserted_jobs.id AS "jobId"
    FROM inserted_images JOIN inserted_jobs ON inserted_jobs.image_id = inserted_images.id
    JOIN line ON line.uuid = inserted_images.uuid
    ORDER BY line.position`.execute(transaction);
  return rows.map(({ imageId, jobId }) => ({ imageId, job: { id: jobId, kind: 'import' } }));
}

/** Adds the lines' references to their images. If an existing image has been removed, the transaction is retried. */
async function addReferences(transaction: Queryable, decisions: readonly Decision[]): Promise<void> {
  const requestedReferences = decisions
    .filter(({ outcome, line }) => outcome !== 'refused' && line.reference !== undefined)
    .map((decision) => ({
      imageId: (decision.earlierDecision ?? decision).imageId,
      reference: decision.line.reference,
    }));
  if (requestedReferences.length === 0) return;
  const imageIds = [...new Set(requestedReferences.map(({ imageId }) => imageId))];
  const lockedImages = await sql`
    SELECT 1 FROM images WHERE id = ANY (${imageIds}::bigint[]) AND deleted_at IS NULL
    ORDER BY id FOR UPDATE`.execute(transaction);
  if (lockedImages.rows.length < imageIds.length) throw rowsChangedError();
  await sql`
    WITH requested_references AS (
      SELECT DISTINCT "imageId" AS image_id, reference
      FROM jsonb_to_recordset(${JSON.stringify(requestedReferences)}::jsonb) AS line ("imageId" bigint, reference text)),
    inserted_references AS (
      INSERT INTO image_references (image_id, reference) SELECT image_id, reference FROM requested_references
      ON CONFLICT DO NOTHING RETURNING image_id),
    updated_images AS (
      UPDATE images SET in_use_count = in_use_count + new_references.count
      FROM (SELECT image_id, count(*) AS count FROM inserted_references GROUP BY image_id) new_references
      WHERE images.id = new_references.image_id RETURNING images.tenant_id)
    UPDATE tenants SET uses_references = true
    WHERE id IN (SELECT tenant_id FROM updated_images) AND NOT uses_references`.execute(transaction);
}
