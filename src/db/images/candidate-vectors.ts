import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database.ts';

/** Queries that read the vectors of the candidates of a search. */
export type CandidateVectorQueries = ReturnType<typeof makeCandidateVectorQueries>;

/** Creates the queries that read vectors. Call them only if the database can store embeddings. */
export function makeCandidateVectorQueries({ sql: db }: Database) {
  return {
    /** Returns the vectors of a tenant's images in one space. Images without a vector in it are missing from the map. */
    async list(
      tenantId: number,
      space: string,
      imageIds: readonly number[],
    ): Promise<ReadonlyMap<number, Float32Array>> {
      const { rows } = await selectVectors(tenantId, space, imageIds).execute(db);
      return new Map(rows.map(({ id, vector }) => [id, readHalfVector(vector)]));
    },
  };
}

/** Sends vectors in binary form, because parsing hundreds of vectors as text would occupy the server for milliseconds. */
function selectVectors(
  tenantId: number,
  space: string,
  imageIds: readonly number[],
): RawBuilder<{ id: number; vector: Buffer }> {
  return sql`
    SELECT i.id, halfvec_send(e.vector) AS vector
    FROM images i JOIN embeddings e ON e.tenant_id = i.tenant_id AND e.content_hash = i.content_hash AND e.space = ${space}
    WHERE i.tenant_id = ${tenantId} AND i.id = ANY (${[...imageIds]}::int[])`;
}

const headerBytes = 4;

/**
 * Reads pgvector's binary form of a `halfvec`: the number of dimensions, 16 unused bits, and one half-precision float per
 * dimension, all big-endian.
 */
function readHalfVector(bytes: Buffer): Float32Array {
  // A copy, because the byte order is swapped in place and the floats must be aligned.
  const halves = new Uint8Array(bytes.subarray(headerBytes));
  Buffer.from(halves.buffer).swap16();
  return new Float32Array(new Float16Array(halves.buffer));
}
