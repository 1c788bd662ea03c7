import { createHash } from 'node:crypto';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import { LRUCache } from 'lru-cache';
import { type CustomTypesConfig, type Pool, type PoolClient, type QueryResult, types } from 'pg';
import type { RunScript } from '../database.ts';
import type { Schema } from '../schema.ts';
import { isConnectionLost, toAppError } from './database-errors.ts';

/**
 * Creates a Kysely instance on a pool of connections to a PostgreSQL server or to the embedded engine.
 * @param onError called with each error as the engine reported it.
 */
export function makeQueryBuilder(
  pool: Pool,
  onError: (error: unknown) => void = () => undefined,
): Kysely<Schema> {
  const nameOf = makeStatementNames();
  const namingPool: PostgresPool = {
    options: pool.options,
    end: () => pool.end(),
    connect: () => checkOut(pool, nameOf, onError),
  };
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: namingPool }) });
}

/** Parses `bigint` (ids, counts, bytes) as a number: the values stay far below 2^53. Other types as `pg` does. */
export const typeParsers: CustomTypesConfig = {
  getTypeParser: (type, format) =>
    type === types.builtins.INT8 ? Number : types.getTypeParser(type, format),
};

/** Maximum number of prepared statements: a list of variable length makes a new text for each length. */
const maxPrepared = 100;

/**
 * Returns a function that names the statements to prepare, so that each connection parses and plans them once. A text
 * gets its name when it is seen for the second time: preparing one that runs once would only use memory.
 */
function makeStatementNames(): (text: string) => string | undefined {
  const seen = new LRUCache<string, string>({ max: 10 * maxPrepared });
  const names = new Map<string, string>();
  return (text) => {
    const name = names.get(text);
    if (name !== undefined || names.size >= maxPrepared) return name;
    if (!seen.has(text)) {
      seen.set(text, text);
      return undefined;
    }
    const newName = createHash('sha256').update(text).digest('base64url').slice(0, 32);
    names.set(text, newName);
    return newName;
  };
}

/** Checks out a client; destroys it on release if its connection was lost. */
async function checkOut(
  pool: Pool,
  nameOf: (text: string) => string | undefined,
  onError: (error: unknown) => void,
): Promise<PostgresPoolClient> {
  const client = await convertingErrors(() => pool.connect());
  let isLost = false;
  async function query(text: string, values: readonly unknown[]) {
    try {
      return await client.query({ name: nameOf(text), text, values: [...values] });
    } catch (error) {
      onError(error);
      isLost ||= isConnectionLost(error);
      throw toAppError(error);
    }
  }
  return { query, release: () => client.release(isLost) } as unknown as PostgresPoolClient;
}

/** Timeout of a script. The pool's timeout is for requests; a migration may take long or wait for another process. */
const scriptTimeoutMs = 3_600_000;

/** Runs scripts on one connection of `pool`. If one fails, the open transaction is rolled back. */
export async function runSession<T>(pool: Pool, work: (run: RunScript) => Promise<T>): Promise<T> {
  const client = await convertingErrors(() => pool.connect());
  let isLost = false;
  try {
    return await work((script) => convertingErrors(() => runScript(client, script)));
  } catch (error) {
    await client.query('ROLLBACK').catch(() => (isLost = true));
    throw error;
  } finally {
    client.release(isLost);
  }
}

async function runScript(client: PoolClient, script: string): Promise<Record<string, unknown>[]> {
  const query = { text: script, query_timeout: scriptTimeoutMs };
  // `pg` returns an array, with one result per statement, if the script has several.
  const results = (await client.query(query)) as QueryResult | QueryResult[];
  return (Array.isArray(results) ? results.at(-1)?.rows : results.rows) ?? [];
}

async function convertingErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toAppError(error);
  }
}
