import { type RawBuilder, sql } from 'kysely';
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

/**
 * A request that is running. If its process did not extend it in time, another run may have replaced it; then the methods
 * that take it have no effect.
 */
export interface RunningRequest extends RequestId {
  /** When it began: seconds since 1970 by the database clock, with every digit. */
  readonly begunAt: string;
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
     * Records that a request is running; without `extend`, it counts as lost after `seconds`. Returns the earlier request with
     * the same key, if there is one. An earlier request that has expired, or whose process was lost, does not count.
     */
    async begin(id: RequestId, hash: Buffer, seconds: number): Promise<RunningRequest | EarlierRequest> {
      const { owner, idempotencyKey } = id;
      for (;;) {
        const inserted = await sql<Pick<RunningRequest, 'begunAt'>>`
          INSERT INTO idempotent_requests (owner, idempotency_key, request_hash, running_until)
          VALUES (${owner}, ${idempotencyKey}, ${hash}, now() + make_interval(secs => ${seconds}))
          ON CONFLICT (owner, idempotency_key) DO UPDATE
          SET request_hash = excluded.request_hash, running_until = excluded.running_until, response = NULL,
            secret_id = NULL, created_at = now()
          WHERE idempotent_requests.running_until < now()
            OR idempotent_requests.created_at < now() - make_interval(hours => ${keptHours})
          RETURNING extract(epoch FROM created_at)::text AS "begunAt"`.execute(db);
        const [begun] = inserted.rows;
        if (begun) return { ...id, ...begun };
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

    /** Lets a running request run for another `seconds`. Returns whether it is still the one that runs. */
    async extend(request: RunningRequest, seconds: number): Promise<boolean> {
      const { rows } = await sql`
        UPDATE idempotent_requests SET running_until = now() + make_interval(secs => ${seconds})
        WHERE ${isRunning(request)} RETURNING 1 AS extended`.execute(db);
      return rows.length > 0;
    },

    /** Stores the response of a running request. */
    async complete(request: RunningRequest, { secretId, response }: EncryptedResponse): Promise<void> {
      await sql`
        UPDATE idempotent_requests SET running_until = NULL, secret_id = ${secretId}, response = ${response}
        WHERE ${isRunning(request)}`.execute(db);
    },

    /** Forgets a running request, so that it can be sent again. */
    async abandon(request: RunningRequest): Promise<void> {
      await sql`DELETE FROM idempotent_requests WHERE ${isRunning(request)}`.execute(db);
    },
  };
}

function isRunning({ owner, idempotencyKey, begunAt }: RunningRequest): RawBuilder<boolean> {
  return sql`owner = ${owner} AND idempotency_key = ${idempotencyKey} AND response IS NULL
    AND extract(epoch FROM created_at) = ${begunAt}::numeric`;
}
