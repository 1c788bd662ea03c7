import { type RawBuilder, sql } from 'kysely';
import { type FrameHash, type HashFrame, hashFrames } from '../../model/fingerprint.ts';
import { bandKeys, searchKeys } from './hash-bands.ts';

/** A hash whose neighbours are searched. Only hashes of the same frame are compared. */
export interface HashProbe extends FrameHash {
  /** Maximum number of differing bits, of 256. */
  readonly maxBits: number;
}

/** Maximum number of probes of one frame. */
export const maxProbesPerFrame = 5;

/**
 * Up to this number of differing bits, the search uses the indexes. Beyond, it compares all hashes of the tenant, because the
 * number of index keys grows about sevenfold with every 12 bits.
 */
const maxIndexedBits = 47;

/**
 * Returns a `SELECT` statement that yields the tenant's content whose hashes are near at least one probe:
 * `content_hash`, the nearest probe (`probe`, its index in the list) and the number of differing bits (`differing_bits`). The
 * result is exact. @throws {RangeError} if a frame has too many probes.
 */
export function selectNearHashes(tenantId: number, probes: readonly HashProbe[]): RawBuilder<unknown> {
  const frames = probes.map(({ frame }) => hashFrames.indexOf(frame));
  return sql`
    SELECT DISTINCT ON (near.content_hash) near.content_hash, probes.number::integer - 1 AS probe,
      bit_count(near.hash # probes.hash)::integer AS differing_bits
    FROM ${selectCandidates(tenantId, probes)} near
    JOIN unnest(${toArray(frames)}::smallint[], ${toArray(probes.map(({ hash }) => toBits(hash)))}::bit(256)[],
      ${toArray(probes.map(({ maxBits }) => maxBits))}::integer[])
      WITH ORDINALITY AS probes (frame, hash, max_bits, number)
      ON probes.frame = near.frame AND bit_count(near.hash # probes.hash) <= probes.max_bits
    ORDER BY near.content_hash, differing_bits, probes.number`;
}

/** Returns a table expression with the hashes to compare: at least those that are near a probe. */
function selectCandidates(tenantId: number, probes: readonly HashProbe[]): RawBuilder<unknown> {
  const slots = toArray(slotProbes(probes));
  const maxBits = Math.max(0, ...probes.map((probe) => probe.maxBits));
  if (maxBits > maxIndexedBits)
    return sql`(SELECT content_hash, frame, hash FROM frame_hashes WHERE tenant_id = ${tenantId})`;
  const { keys, stops } = searchKeys(tenantId, probes);
  return sql`near_hashes(${toArray(keys)}::bigint[], ${toArray(stops)}::integer[], ${slots}::bit(256)[], ${maxBits}::integer)`;
}

/**
 * Returns the statement that inserts the hashes of an image's content, or replaces hashes that have changed.
 * @param image table expression that yields one row of `images`.
 */
export function upsertFrameHashes(
  image: RawBuilder<unknown>,
  tenantId: number,
  frameHashes: readonly FrameHash[],
): RawBuilder<unknown> {
  const rows = frameHashes.map(
    (frameHash) =>
      sql`(${hashFrames.indexOf(frameHash.frame)}::smallint, ${`x${frameHash.hash}`}::bit(256), ${toArray(bandKeys(tenantId, frameHash))}::bigint[])`,
  );
  return sql`
    INSERT INTO frame_hashes (tenant_id, content_hash, frame, hash, bands)
    SELECT image.tenant_id, image.content_hash, hashes.frame, hashes.hash, hashes.bands
    FROM ${image} image CROSS JOIN (VALUES ${sql.join(rows)}) AS hashes (frame, hash, bands)
    ON CONFLICT (tenant_id, content_hash, frame) DO UPDATE SET hash = excluded.hash, bands = excluded.bands
    WHERE frame_hashes.hash <> excluded.hash`;
}

/** Returns five probes for each frame: the hashes to search for, then `NULL`. */
function slotProbes(probes: readonly HashProbe[]): string[] {
  const byFrame = Map.groupBy(probes, ({ frame }) => frame);
  return hashFrames.flatMap((frame) => slotFrame(frame, byFrame.get(frame) ?? []));
}

function slotFrame(frame: HashFrame, probes: readonly HashProbe[]): string[] {
  if (probes.length > maxProbesPerFrame)
    throw new RangeError(
      `A search for ${probes.length} hashes of the frame ${frame} is not supported: the limit is ${maxProbesPerFrame}.`,
    );
  return Array.from({ length: maxProbesPerFrame }, (_, index) => {
    const probe = probes[index];
    return probe ? toBits(probe.hash) : 'NULL';
  });
}

/** Writes a hash as PostgreSQL reads it in an array. */
function toBits(hash: string): string {
  return `x${hash}`;
}

/** Formats an array for PostgreSQL. `pg` would quote each element, which takes longer to write and to read. */
function toArray(values: readonly (number | string)[]): string {
  return `{${values.join(',')}}`;
}
