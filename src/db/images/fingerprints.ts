import { sql } from 'kysely';
import type { Fingerprint } from '../../model/fingerprint.ts';
import type { Rendition } from '../../model/rendition.ts';
import { bandKeys } from '../jobs/complete.ts';
import type { Database } from '../database.ts';
import { renditionFields } from './image-rows.ts';

/** An image whose hash lies close to another one. */
export interface HashNeighbour {
  readonly id: number;
  readonly uuid: string;
  readonly contentHash: string;
  /** Whether its original has an alpha channel. */
  readonly hasAlpha: boolean | null;
  readonly fingerprint: Fingerprint;
  readonly renditions: readonly Rendition[];
}

/** Queries on fingerprints. */
export type FingerprintQueries = ReturnType<typeof makeFingerprintQueries>;

/** Candidates that the colour-aware check looks at, at most. */
const maxCandidates = 50;

/** Queries on fingerprints. */
export function makeFingerprintQueries({ sql: db }: Database) {
  return {
    /**
     * First images (no exact copies) of a tenant whose hash differs from this one in at most `maxBits` of 256 bits,
     * nearest first. Found by the 16 bands of the hash: up to 15 bits nothing is missed; at 20 bits, 3 in 1,000 are.
     */
    async neighbours(
      tenantId: number,
      { hash, version }: Pick<Fingerprint, 'hash' | 'version'>,
      maxBits: number,
      exceptContent: string,
      exceptImages: readonly number[] = [],
    ): Promise<HashNeighbour[]> {
      const bits = sql`${`x${hash}`}::bit(256)`;
      const { rows } = await sql<HashNeighbour & Omit<Fingerprint, 'version'>>`
        WITH near AS MATERIALIZED (
          SELECT tenant_id, content_hash, bit_count(hash # ${bits}) AS bits FROM fingerprints
          WHERE bands && ${bandKeys(tenantId, hash)}::bigint[] AND version = ${version}
            AND content_hash <> ${exceptContent}
            AND bit_count(hash # ${bits}) <= ${maxBits}
          ORDER BY bits LIMIT ${maxCandidates})
        SELECT i.id, i.uuid, i.content_hash AS "contentHash", i.has_alpha AS "hasAlpha", f.hash::text AS hash, f.quality, f.aspect,
          translate(encode(f.thumbnail, 'base64'), E'\\n', '') AS thumbnail,
          coalesce((SELECT json_agg(json_build_object(${renditionFields('r')})) FROM renditions r WHERE r.image_id = i.id),
            '[]'::json) AS renditions
        FROM near JOIN fingerprints f ON f.tenant_id = near.tenant_id AND f.content_hash = near.content_hash
        JOIN images i ON i.tenant_id = near.tenant_id AND i.content_hash = near.content_hash
          AND i.deleted_at IS NULL AND i.duplicate_of IS NULL AND i.status = 'completed'
          AND i.id <> ALL (${exceptImages}::bigint[])
        ORDER BY near.bits, i.id`.execute(db);
      return rows.map(({ hash: other, quality, aspect, thumbnail, ...image }) => ({
        ...image,
        fingerprint: { version, hash: hexOf(other), quality, aspect, thumbnail },
      }));
    },
  };
}

/** Bits as the database writes them, `0101…`, as hexadecimal digits. */
function hexOf(bits: string): string {
  return bits.replaceAll(/[01]{4}/g, (four) => Number.parseInt(four, 2).toString(16));
}
