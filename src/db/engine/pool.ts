import { createHash } from 'node:crypto';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import { LRUCache } from 'lru-cache';
import {
  type CustomTypesConfig,
  type Pool,
  type PoolClient,
  type QueryConfig,
  type QueryResult,
  types,
} from 'pg';
import type { RunScript } from '../database.ts';
import type { Schema } from '../schema.ts';
import { boundTenantId } from '../../tenant-scope.ts';
import { isConnectionLost, toAppError } from './database-errors.ts';
import { makeBoundSender } from './bound-sender.ts';
import { detectTenantBinding, makeBindStatement, type TenantBinding } from './tenant-binding.ts';

/**
 * Creates a Kysely instance for a pool of connections to a PostgreSQL server or to the embedded database. Queries of work
 * that is bound to a tenant run in transactions that are bound to this tenant.
 * @param detectBinding returns how a transaction is bound
 * @param onError called with each error, before it is converted to an `AppError`.
 */
export function makeQueryBuilder(
  pool: Pool,
  detectBinding: () => Promise<TenantBinding>,
  onError: (error: unknown) => void = () => undefined,
): Kysely<Schema> {
  const nameStatement = makeStatementNamer();
  const kyselyPool: PostgresPool = {
    options: pool.options,
    end: () => pool.end(),
    async connect() {
      const tenantId = boundTenantId();
      // Before a connection is checked out, because the detection needs one, and the embedded database has only one.
      const binding = tenantId === null ? undefined : await withAppErrors(detectBinding);
      const client = await withAppErrors(() => pool.connect());
      if (tenantId === null || binding === undefined || binding.by === 'none')
        return wrapClient(client, (query) => client.query(query), nameStatement, onError);
      const send = makeBoundSender(client, makeBindStatement(binding, tenantId));
      return wrapClient(client, send, nameStatement, onError);
    },
  };
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: kyselyPool }) });
}

/** Returns a function that detects how transactions are bound to a tenant, once. */
export function makeBindingDetector(pool: Pool): () => Promise<TenantBinding> {
  let detection: Promise<TenantBinding> | undefined;
  return () => {
    detection ??= runSession(pool, detectTenantBinding).catch((error: unknown) => {
      detection = undefined;
      throw error;
    });
    return detection;
  };
}

/** Parses `bigint` (ids, counts, bytes) as a number, because the values stay far below 2^53. `pg` parses the other types. */
export const typeParsers: CustomTypesConfig = {
  getTypeParser: (type, format) =>
    type === types.builtins.INT8 ? Number : types.getTypeParser(type, format),
};

/** Maximum number of prepared statements. A query that contains a list counts as one statement for each list length. */
const maxPreparedStatements = 100;

/**
 * Creates a function that returns the name under which a statement is prepared, or `undefined` if it is not prepared. Each
 * connection parses and plans a prepared statement only once. A statement is prepared when it runs for the second time,
 * because preparing statements that run only once would waste memory.
 */
function makeStatementNamer(): (text: string) => string | undefined {
  const seenTexts = new LRUCache<string, string>({ max: 10 * maxPreparedStatements });
  const namesByText = new Map<string, string>();
  return (text) => {
    const name = namesByText.get(text);
    if (name !== undefined || namesByText.size >= maxPreparedStatements) return name;
    if (!seenTexts.has(text)) {
      seenTexts.set(text, text);
      return undefined;
    }
    const newName = createHash('sha256').update(text).digest('base64url').slice(0, 32);
    namesByText.set(text, newName);
    return newName;
  };
}

/** Wraps a client that was checked out. A client that has lost its connection is destroyed when it is released. */
function wrapClient(
  client: PoolClient,
  send: (query: QueryConfig) => Promise<QueryResult>,
  nameStatement: (text: string) => string | undefined,
  onError: (error: unknown) => void,
): PostgresPoolClient {
  let isLost = false;
  async function query(text: string, values: readonly unknown[]) {
    try {
      const name = nameStatement(text);
      return await send({ ...(name === undefined ? {} : { name }), text, values: [...values] });
    } catch (error) {
      onError(error);
      isLost ||= isConnectionLost(error);
      throw toAppError(error);
    }
  }
  return { query, release: () => client.release(isLost) } as unknown as PostgresPoolClient;
}

/**
 * Timeout for running a script. The pool's timeout is meant for requests. A migration may take longer, or may have to wait
 * for another process.
 */
const scriptTimeoutMs = 3_600_000;

/** Calls `work` with a function that runs scripts on one connection. If `work` fails, rolls back the open transaction. */
export async function runSession<T>(pool: Pool, work: (run: RunScript) => Promise<T>): Promise<T> {
  const client = await withAppErrors(() => pool.connect());
  let isLost = false;
  try {
    return await work((script) => withAppErrors(() => runScript(client, script)));
  } catch (error) {
    await client.query('ROLLBACK').catch(() => (isLost = true));
    throw error;
  } finally {
    client.release(isLost);
  }
}

async function runScript(client: PoolClient, script: string): Promise<Record<string, unknown>[]> {
  const query = { text: script, query_timeout: scriptTimeoutMs };
  // If the script has several statements, `pg` returns an array of their results.
  const results = (await client.query(query)) as QueryResult | QueryResult[];
  return (Array.isArray(results) ? results.at(-1)?.rows : results.rows) ?? [];
}

async function withAppErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toAppError(error);
  }
}
