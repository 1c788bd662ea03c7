import { sql } from 'kysely';
import type { Database } from './database.ts';

/** Queries on requests that were sent with an `Idempotency-Key`. */
export type IdempotentRequestQueries = ReturnType<typeof makeIdempotentRequestQueries>;

/** A request, as identified by its sender. */
export interface RequestId {
  readonly owner: string;
  readonly idempotencyKey: string;
}

/** A response, encrypted with the secret `secretId`. */
export interface EncryptedResponse {
  readonly secretId: string;
  readonly response: Buffer;
}

/** What is known about an earlier request with the same key. `response` is `null` while it is still running. */
export interface EarlierRequest {
  readonly hash: Buffer;
  readonly response: EncryptedResponse | null;
}

/** How long a response is kept, in hours. */
const keptHours = 24;

/** @see IdempotentRequestQueries */
export function makeIdempotentRequestQueries({ sql: db }: Database) {
  return {
    /**
     * Records that a request is running for at most `maxSeconds`. Returns `undefined` if it is the first one with its key,
     * else the earlier request. An earlier request that has expired, or whose process was lost, does not count.
     */
    async begin(
      { owner, idempotencyKey }: RequestId,
      hash: Buffer,
      maxSeconds: number,
    ): Promise<EarlierRequest | undefined> {
      for (;;) {
        const inserted = await sql`
          INSERT INTO idempotent_requests (owner, idempotency_key, request_hash, running_until)
          VALUES (${owner}, ${idempotencyKey}, ${hash}, now() + make_interval(secs => ${maxSeconds}))
          ON CONFLICT (owner, idempotency_key) DO UPDATE
          SET request_hash = excluded.request_hash, running_until = excluded.running_until, response = NULL,
            secret_id = NULL, created_at = now()
          WHERE idempotent_requests.running_until < now()
            OR idempotent_requests.created_at < now() - make_interval(hours => ${keptHours})
          RETURNING 1 AS started`.execute(db);
        if (inserted.rows.length > 0) return undefined;
        const { rows } = await sql<{ hash: Buffer; secretId: string | null; response: Buffer | null }>`
          SELECT request_hash AS hash, secret_id AS "secretId", response FROM idempotent_requests
          WHERE owner = ${owner} AND idempotency_key = ${idempotencyKey}`.execute(db);
        const [row] = rows;
        // The earlier request was abandoned between the two statements.
        if (!row) continue;
        const { hash: earlierHash, secretId, response } = row;
        return {
          hash: earlierHash,
          response: secretId !== null && response !== null ? { secretId, response } : null,
        };
      }
    },

    /** Stores the response of a running request. */
    async complete(
      { owner, idempotencyKey }: RequestId,
      { secretId, response }: EncryptedResponse,
    ): Promise<void> {
      await sql`
        UPDATE idempotent_requests SET running_until = NULL, secret_id = ${secretId}, response = ${response}
        WHERE owner = ${owner} AND idempotency_key = ${idempotencyKey}`.execute(db);
    },

    /** Forgets a running request, so that it can be sent again. */
    async abandon({ owner, idempotencyKey }: RequestId): Promise<void> {
      await sql`
        DELETE FROM idempotent_requests
        WHERE owner = ${owner} AND idempotency_key = ${idempotencyKey} AND response IS NULL`.execute(db);
    },
  };
}
