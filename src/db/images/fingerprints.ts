import { type RawBuilder, sql } from 'kysely';
import { comparableVersions, type Fingerprint, type StoredFingerprint } from '../../model/fingerprint.ts';
import type { NearDuplicate } from '../../model/image.ts';
import type { Rendition } from '../../model/rendition.ts';
import type { Database } from '../database.ts';
import { retrying } from '../engine/retrying.ts';
import { type HashProbe, selectNearHashes, upsertFrameHashes } from './hash-search.ts';
import { renditionFields } from './image-rows.ts';

/** An image whose hash is close to a given hash. */
export interface HashNeighbour {
  readonly id: number;
  readonly uuid: string;
  readonly contentHash: string;
  /** Whether the original has an alpha channel. */
  readonly hasAlpha: boolean | null;
  /** SHA-256 of the metadata that renditions keep; `null` if it is unknown. */
  readonly keptMetadata: string | null;
  /** Storage key of the original. */
  readonly originalKey: string | null;
  /** Index of the probe that is nearest to one of the image's hashes, and the number of bits in which the two differ. */
  readonly probe: number;
  readonly differingBits: number;
  readonly fingerprint: StoredFingerprint;
  readonly renditions: readonly Rendition[];
}

/** Queries for fingerprints and near-duplicates. */
export type FingerprintQueries = ReturnType<typeof makeFingerprintQueries>;

/** Maximum number of hashes whose images are returned. */
const maxCandidates = 50;

/** @see FingerprintQueries */
export function makeFingerprintQueries({ sql: db }: Database) {
  return {
    /**
     * Lists the tenant's images of which a hash is near one of the probes, nearest first. Images whose content hash is
     * `excludedContentHash` or whose id is in `excludedIds` are left out.
     */
    async findNeighbours(
      tenantId: number,
      probes: readonly HashProbe[],
      excludedContentHash: string,
      excludedIds: readonly number[] = [],
    ): Promise<HashNeighbour[]> {
      const { rows } = await sql<Omit<HashNeighbour, 'fingerprint'> & StoredFingerprint>`
        WITH near_hashes AS MATERIALIZED (
          SELECT near.content_hash, near.probe, near.differing_bits FROM (${selectNearHashes(tenantId, probes)}) near
          JOIN fingerprints f ON f.tenant_id = ${tenantId} AND f.content_hash = near.content_hash
            AND f.version = ANY (${comparableVersions}::smallint[])
          WHERE near.content_hash <> ${excludedContentHash}
          ORDER BY near.differing_bits LIMIT ${maxCandidates})
        SELECT i.id, i.uuid, i.content_hash AS "contentHash", i.original_key AS "originalKey", i.has_alpha AS "hasAlpha",
          i.kept_metadata AS "keptMetadata", near_hashes.probe, near_hashes.differing_bits AS "differingBits",
          f.version, f.hash::text AS hash, f.quality, f.aspect,
          translate(encode(f.thumbnail, 'base64'), E'\\n', '') AS thumbnail,
          coalesce((SELECT json_agg(json_build_object(${renditionFields('r')})) FROM renditions r
            WHERE r.image_id = i.id AND r.superseded_at IS NULL), '[]'::json) AS renditions
        FROM near_hashes JOIN fingerprints f ON f.tenant_id = ${tenantId} AND f.content_hash = near_hashes.content_hash
        JOIN images i ON i.tenant_id = ${tenantId} AND i.content_hash = near_hashes.content_hash
          AND i.deleted_at IS NULL AND i.duplicate_of IS NULL AND i.status = 'completed'
          AND i.id <> ALL (${excludedIds}::bigint[])
        ORDER BY near_hashes.differing_bits, i.id`.execute(db);
      return rows.map(({ version, hash, quality, aspect, thumbnail, ...image }) => ({
        ...image,
        fingerprint: { version, hash: toHex(hash), quality, aspect, thumbnail },
      }));
    },

    /** Records near-duplicates that were found after the image was completed. */
    async addNearDuplicates(imageId: number, nearDuplicates: readonly NearDuplicate[]): Promise<void> {
      const image = sql`(SELECT id FROM images WHERE id = ${imageId})`;
      await retrying(() => upsertNearDuplicates(image, nearDuplicates).execute(db));
    },
  };
}

/**
 * Returns the statement that inserts an image's fingerprint, or replaces a fingerprint of a different version.
 * @param image table expression that yields one row of `images`.
 */
export function upsertFingerprint(
  image: RawBuilder<unknown>,
  { version, hash, quality, aspect, thumbnail }: Fingerprint,
): RawBuilder<unknown> {
  return sql`
    INSERT INTO fingerprints (tenant_id, content_hash, version, hash, quality, aspect, thumbnail)
    SELECT tenant_id, content_hash, ${version}::smallint, ${`x${hash}`}::bit(256), ${quality}::smallint,
      ${aspect}::real, decode(${thumbnail}, 'base64')
    FROM ${image}
    ON CONFLICT (tenant_id, content_hash) DO UPDATE SET version = excluded.version, hash = excluded.hash,
      quality = excluded.quality, aspect = excluded.aspect, thumbnail = excluded.thumbnail
    WHERE fingerprints.version <> excluded.version`;
}

/**
 * Returns the statement that inserts or replaces the hashes of an image's content.
 * @param image table expression that yields one row of `images`.
 */
export function upsertHashes(
  image: RawBuilder<unknown>,
  tenantId: number,
  { frameHashes }: Fingerprint,
): RawBuilder<unknown> {
  return upsertFrameHashes(image, tenantId, frameHashes);
}

/**
 * Returns the statement that inserts or replaces an image's near-duplicates. Each pair is stored once, under the id of the
 * newer image. A verdict on the pair is kept. Triggers copy the verdict to a new pair, and correct the groups.
 * @param image table expression that yields one row with the `id` column.
 * @param nearDuplicates with the tiers that the search found, whatever the verdicts
 */
export function upsertNearDuplicates(
  image: RawBuilder<unknown>,
  nearDuplicates: readonly NearDuplicate[],
): RawBuilder<unknown> {
  return sql`
    INSERT INTO near_duplicates (image_id, match_id, tier, edit, box, distance, difference, reason)
    SELECT greatest(image.id, match.id), least(image.id, match.id), match.tier, match.edit,
      CASE WHEN match.box IS NOT NULL THEN ARRAY[match.box->'left', match.box->'top', match.box->'width', match.box->'height']::real[] END,
      match.distance, match.difference, match.reason
    FROM ${image} image CROSS JOIN jsonb_to_recordset(${JSON.stringify(nearDuplicates)}::jsonb) AS match
      (id bigint, tier text, edit text, box jsonb, distance smallint, difference real, reason text)
    -- The match may have been purged since it was found.
    WHERE match.id <> image.id AND (SELECT true FROM images WHERE images.id = match.id)
    ON CONFLICT (image_id, match_id) DO UPDATE SET tier = excluded.tier, edit = excluded.edit,
      box = excluded.box, distance = excluded.distance, difference = excluded.difference, reason = excluded.reason`;
}

/** Converts the bits of a hash (`0101…`) to hexadecimal digits. */
function toHex(bits: string): string {
  return bits.replaceAll(/[01]{4}/g, (digits) => Number.parseInt(digits, 2).toString(16));
}
