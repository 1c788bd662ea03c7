import { type RawBuilder, sql } from 'kysely';
import type { VariantName } from '../../model/rendition.ts';
import type { Database } from '../database.ts';
import { retrying } from '../engine/retrying.ts';

/** Queries for claims on variants that are being made on request. */
export type VariantClaimQueries = ReturnType<typeof makeVariantClaimQueries>;

/** What a process claims: a variant of an image, made with a recipe. */
export interface ClaimableVariant extends VariantName {
  readonly imageId: number;
  readonly recipe: string;
}

/**
 * Result of a claim. `taken`: another process is making the variant. `failed`: the last attempt failed recently.
 * `image-removed`: the image no longer exists.
 */
export type ClaimResult =
  | { readonly outcome: 'claimed' | 'taken' | 'image-removed' }
  | {
      readonly outcome: 'failed';
      readonly code: string;
      readonly error: string;
      readonly retrySeconds: number;
    };

interface ClaimRow {
  readonly isClaimed: boolean;
  readonly hasImage: boolean;
  readonly code: string | null;
  readonly error: string | null;
  /** Seconds until the claim expires. */
  readonly seconds: number;
}

/** Back-off after a failure, in seconds. It quadruples with each consecutive failure. */
const firstPauseSeconds = 60;
const maxPauseSeconds = 3_600;

/** @see VariantClaimQueries */
export function makeVariantClaimQueries({ sql: db }: Database) {
  return {
    /**
     * Claims a variant for `leaseSeconds`, unless another process has claimed it or recently failed to make it.
     * @param token a UUID that identifies this claim
     */
    async claim(variant: ClaimableVariant, token: string, leaseSeconds: number): Promise<ClaimResult> {
      const query = sql<ClaimRow>`
        WITH claim AS (
          INSERT INTO variant_claims (image_id, preset, format, density, recipe, token, claimed_until)
          SELECT id, ${variant.preset}, ${variant.format}, ${variant.density}::smallint, ${variant.recipe}, ${token}::uuid,
            now() + make_interval(secs => ${leaseSeconds})
          FROM images WHERE id = ${variant.imageId}
          ON CONFLICT (image_id, preset, format, density, recipe) DO UPDATE SET token = excluded.token,
            claimed_until = excluded.claimed_until, error_code = NULL, error = NULL
          WHERE variant_claims.claimed_until < now()
          RETURNING true AS is_claimed)
        SELECT EXISTS (SELECT 1 FROM claim) AS "isClaimed",
          EXISTS (SELECT 1 FROM images WHERE id = ${variant.imageId}) AS "hasImage", c.error_code AS code, c.error,
          greatest(1, extract(epoch FROM c.claimed_until - now()))::float8 AS seconds
        FROM (SELECT) one LEFT JOIN variant_claims c ON ${isClaimOn('c', variant)}`;
      const { rows } = await retrying(() => query.execute(db));
      const row = rows[0];
      if (row?.isClaimed) return { outcome: 'claimed' };
      if (!row?.hasImage) return { outcome: 'image-removed' };
      if (!row.code) return { outcome: 'taken' };
      return {
        outcome: 'failed',
        code: row.code,
        error: row.error ?? '',
        retrySeconds: Math.ceil(row.seconds),
      };
    },

    /** Extends a claim. Does nothing if the claim has been lost. */
    async extend(variant: ClaimableVariant, token: string, leaseSeconds: number): Promise<void> {
      await sql`
        UPDATE variant_claims SET claimed_until = now() + make_interval(secs => ${leaseSeconds})
        WHERE ${isClaimOn('variant_claims', variant)} AND token = ${token}::uuid AND error_code IS NULL`.execute(
        db,
      );
    },

    /** Records that an attempt failed, so that no process retries for a while. */
    async fail(
      variant: ClaimableVariant,
      token: string,
      { code, error }: { readonly code: string; readonly error: string },
    ): Promise<void> {
      await sql`
        UPDATE variant_claims SET error_code = ${code}, error = ${error}, failures = least(failures + 1, 10),
          claimed_until = now() + make_interval(
            secs => least(${maxPauseSeconds}::float8, ${firstPauseSeconds}::float8 * power(4, failures)))
        WHERE ${isClaimOn('variant_claims', variant)} AND token = ${token}::uuid`.execute(db);
    },

    /** Releases a claim, so that another process can claim the variant at once. */
    async release(variant: ClaimableVariant, token: string): Promise<void> {
      await sql`
        DELETE FROM variant_claims WHERE ${isClaimOn('variant_claims', variant)} AND token = ${token}::uuid`.execute(
        db,
      );
    },
  };
}

function isClaimOn(table: string, variant: ClaimableVariant): RawBuilder<boolean> {
  const column = (name: string) => sql.ref(`${table}.${name}`);
  return sql`(${column('image_id')} = ${variant.imageId} AND ${column('preset')} = ${variant.preset}
    AND ${column('format')} = ${variant.format} AND ${column('density')} = ${variant.density}
    AND ${column('recipe')} = ${variant.recipe})`;
}
