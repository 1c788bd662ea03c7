import { sql, type RawBuilder } from 'kysely';
import type { DuplicateVerdict, PairVerdict } from '../../model/duplicates.ts';
import type { Image } from '../../model/image.ts';
import type { AuditAction } from '../../model/audit.ts';
import { type Actor, insertAudit } from '../audit.ts';
import type { Database, Queryable } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { lockImageFiles } from '../images/content-lock.ts';

/** Two different images of one tenant with different contents. */
export type ImagePair = readonly [JudgedImage, JudgedImage];

/** What identifies an image and its content in a verdict. */
export interface JudgedImage extends Pick<Image, 'id' | 'uuid' | 'tenantId'> {
  readonly contentHash: string;
}

/** Queries for verdicts: what people decided about pairs of pictures. */
export type VerdictQueries = ReturnType<typeof makeVerdictQueries>;

/** @see VerdictQueries */
export function makeVerdictQueries({ sql: db }: Database) {
  return {
    /**
     * Records a verdict and applies it to all images with these contents. Returns `undefined` if an image was deleted
     * meanwhile.
     */
    set: (actor: Actor, pair: ImagePair, verdict: DuplicateVerdict): Promise<PairVerdict | undefined> =>
      retryingTransaction(db, async (transaction) => {
        if (!(await lockPair(transaction, pair))) return undefined;
        const [smaller, larger] = sortHashes(pair);
        await sql`
          WITH written AS (
            INSERT INTO duplicate_verdicts AS existing (tenant_id, content_hash, other_hash, verdict, decided_by)
            VALUES (${pair[0].tenantId}, ${smaller}, ${larger}, ${verdict}, ${actor.subject})
            ON CONFLICT (tenant_id, content_hash, other_hash) DO UPDATE
              SET verdict = excluded.verdict, decided_by = excluded.decided_by, decided_at = excluded.decided_at
              WHERE existing.verdict <> excluded.verdict
            RETURNING tenant_id)
          ${auditVerdict(actor, 'verdict.set', pair, { verdict })}`.execute(transaction);
        await copyVerdict(transaction, pair, verdict);
        if (verdict !== 'different') await addJudgedPair(transaction, pair, verdict);
        return findVerdict(transaction, pair);
      }),

    /** Removes a verdict if there is one. Returns false if an image was deleted meanwhile. */
    remove: (actor: Actor, pair: ImagePair): Promise<boolean> =>
      retryingTransaction(db, async (transaction) => {
        if (!(await lockPair(transaction, pair))) return false;
        const [smaller, larger] = sortHashes(pair);
        await sql`
          WITH written AS (
            DELETE FROM duplicate_verdicts
            WHERE tenant_id = ${pair[0].tenantId} AND content_hash = ${smaller} AND other_hash = ${larger}
            RETURNING tenant_id)
          ${auditVerdict(actor, 'verdict.remove', pair, {})}`.execute(transaction);
        await sql`DELETE FROM near_duplicates n WHERE n.tier IS NULL AND ${hasContentsOf(pair)}`.execute(
          transaction,
        );
        await copyVerdict(transaction, pair, null);
        return true;
      }),

    /** Returns the verdicts on a content and each of the others, by the hash of the other. */
    async listAmong(
      tenantId: number,
      contentHash: string,
      otherHashes: readonly string[],
    ): Promise<ReadonlyMap<string, DuplicateVerdict>> {
      const { rows } = await sql<{ hash: string; verdict: DuplicateVerdict }>`
        SELECT other.hash, v.verdict FROM unnest(${otherHashes}::text[]) AS other (hash)
        JOIN duplicate_verdicts v ON v.tenant_id = ${tenantId}
          AND v.content_hash = smaller_hash(other.hash, ${contentHash})
          AND v.other_hash = larger_hash(other.hash, ${contentHash})`.execute(db);
      return new Map(rows.map(({ hash, verdict }) => [hash, verdict]));
    },
  };
}

/**
 * Removes the verdicts on a content that no image has any more, except those on another content that an image still has: if
 * the file is uploaded again, these count again.
 */
export async function removeUnusedVerdicts(
  transaction: Queryable,
  tenantId: number,
  contentHash: string,
): Promise<void> {
  const isUnused = (hash: RawBuilder<unknown>) =>
    sql`NOT EXISTS (SELECT 1 FROM images i WHERE i.tenant_id = ${tenantId} AND i.content_hash = ${hash})`;
  await sql`
    DELETE FROM duplicate_verdicts v WHERE v.tenant_id = ${tenantId}
      AND (v.content_hash = ${contentHash} OR v.other_hash = ${contentHash})
      AND ${isUnused(sql`v.content_hash`)} AND ${isUnused(sql`v.other_hash`)}`.execute(transaction);
}

/**
 * Locks the contents, then the images, then the groups: every transaction uses this order. Returns false if an image is
 * deleted.
 */
async function lockPair(transaction: Queryable, pair: ImagePair): Promise<boolean> {
  const ids = pair.map(({ id }) => id);
  await lockImageFiles(transaction, ids);
  const { rows } = await sql`
    SELECT id FROM images WHERE id = ANY (${ids}::bigint[]) AND deleted_at IS NULL ORDER BY id FOR KEY SHARE`.execute(
    transaction,
  );
  await sql`SELECT lock_duplicate_groups(${pair[0].tenantId})`.execute(transaction);
  return rows.length === pair.length;
}

function sortHashes([{ contentHash: a }, { contentHash: b }]: ImagePair): [string, string] {
  return a < b ? [a, b] : [b, a];
}

/** Condition on `near_duplicates n`: its images have the contents of the pair. */
function hasContentsOf([a, b]: ImagePair): RawBuilder<boolean> {
  const withHash = ({ tenantId, contentHash }: JudgedImage) =>
    sql`ARRAY(SELECT id FROM images WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash})`;
  return sql`(n.image_id = ANY (${withHash(a)}) AND n.match_id = ANY (${withHash(b)})
    OR n.image_id = ANY (${withHash(b)}) AND n.match_id = ANY (${withHash(a)}))`;
}

/** Copies the verdict to the recorded pairs. A trigger then corrects the groups. */
async function copyVerdict(
  transaction: Queryable,
  pair: ImagePair,
  verdict: DuplicateVerdict | null,
): Promise<void> {
  // A pair that the search has not found is recorded only as long as a verdict shows it.
  if (verdict === 'different')
    await sql`DELETE FROM near_duplicates n WHERE n.tier IS NULL AND ${hasContentsOf(pair)}`.execute(
      transaction,
    );
  await sql`
    UPDATE near_duplicates n SET verdict = ${verdict}
    WHERE n.verdict IS DISTINCT FROM ${verdict}::text AND ${hasContentsOf(pair)}`.execute(transaction);
}

/** Records the pair itself, unless the search has found it. */
async function addJudgedPair(
  transaction: Queryable,
  [a, b]: ImagePair,
  verdict: DuplicateVerdict,
): Promise<void> {
  await sql`
    INSERT INTO near_duplicates (image_id, match_id, tier, verdict, reason)
    VALUES (${Math.max(a.id, b.id)}, ${Math.min(a.id, b.id)}, NULL, ${verdict}, 'decided by a person')
    ON CONFLICT DO NOTHING`.execute(transaction);
}

async function findVerdict(transaction: Queryable, pair: ImagePair): Promise<PairVerdict | undefined> {
  const [smaller, larger] = sortHashes(pair);
  const { rows } = await sql<PairVerdict>`
    SELECT verdict, decided_by AS "decidedBy", decided_at AS "decidedAt" FROM duplicate_verdicts
    WHERE tenant_id = ${pair[0].tenantId} AND content_hash = ${smaller} AND other_hash = ${larger}`.execute(
    transaction,
  );
  return rows[0];
}

/** Records the change unless nothing has changed. `written` must be a CTE of the same statement. */
function auditVerdict(
  actor: Actor,
  action: AuditAction,
  [image, other]: ImagePair,
  details: Readonly<Record<string, string>>,
): RawBuilder<unknown> {
  return insertAudit(actor, {
    action,
    from: sql`written`,
    tenantId: sql`written.tenant_id`,
    target: sql`${image.uuid}::text`,
    details: sql`${JSON.stringify({ ...details, other: other.uuid })}::jsonb`,
  });
}
