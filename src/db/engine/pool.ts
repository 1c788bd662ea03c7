import { createHash } from 'node:crypto';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import { LRUCache } from 'lru-cache';
import { type CustomTypesConfig, type Pool, type PoolClient, type QueryResult, types } from 'pg';
import { isConnectionLost, namedDatabaseError } from './database-errors.ts';
import type { RunScript } from '../database.ts';
import type { Schema } from '../schema.ts';

/**
 * Kysely over a pool of PostgreSQL connections, be they to a server or to the embedded engine.
 * @param onError told of each error as the engine gave it.
 */
export function makeQueryBuilder(
  pool: Pool,
  onError: (error: unknown) => void = () => undefined,
): Kysely<Schema> {
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: preparing(pool, onError) }) });
}

/** `bigint` (ids, counts, bytes) as number: none of ours comes near 2^53. Everything else as `pg` reads it. */
export const typeParsers: CustomTypesConfig = {
  getTypeParser: (type, format) =>
    type === types.builtins.INT8 ? Number : types.getTypeParser(type, format),
};

/** Texts that are prepared; a list of changing length makes a new text each time, and those must not pile up. */
const preparedTexts = 100;

/**
 * Lets every connection prepare the statements that come again, so that they are parsed and planned once. Only a text
 * that was seen before gets a name: what comes once would only fill the connection's memory.
 */
function preparing(pool: Pool, onError: (error: unknown) => void): PostgresPool {
  const seen = new LRUCache<string, string>({ max: 10 * preparedTexts });
  const named = new Map<string, string>();

  function nameOf(text: string): string | undefined {
    const name = named.get(text);
    if (name !== undefined || named.size >= preparedTexts) return name;
    if (!seen.has(text)) {
      seen.set(text, text);
      return undefined;
    }
    const fresh = createHash('sha256').update(text).digest('base64url').slice(0, 32);
    named.set(text, fresh);
    return fresh;
  }

  return {
    options: pool.options,
    end: () => pool.end(),
    connect: () => lend(pool, nameOf, onError),
  };
}

/** Lends a connection; one on which the server was lost is thrown away at its return. */
async function lend(
  pool: Pool,
  nameOf: (text: string) => string | undefined,
  onError: (error: unknown) => void,
): Promise<PostgresPoolClient> {
  const client = await naming(() => pool.connect());
  let isLost = false;
  async function query(text: string, values: readonly unknown[]) {
    try {
      return await client.query({ name: nameOf(text), text, values: [...values] });
    } catch (error) {
      onError(error);
      isLost ||= isConnectionLost(error);
      throw namedDatabaseError(error);
    }
  }
  return { query, release: () => client.release(isLost) } as unknown as PostgresPoolClient;
}

/** Migrations may take long, and wait for another process's: the limit of the pool is for requests. */
const scriptMs = 3_600_000;

/** Runs scripts on one connection of `pool`; what a failed one leaves open is rolled back. */
export async function runSession<T>(pool: Pool, work: (run: RunScript) => Promise<T>): Promise<T> {
  const client = await naming(() => pool.connect());
  let isLost = false;
  try {
    return await work((script) => naming(() => runOn(client, script)));
  } catch (error) {
    await client.query('ROLLBACK').catch(() => (isLost = true));
    throw error;
  } finally {
    client.release(isLost);
  }
}

async function runOn(client: PoolClient, script: string): Promise<Record<string, unknown>[]> {
  const asked = { text: script, query_timeout: scriptMs };
  // One result for each statement of the script.
  const results = (await client.query(asked)) as QueryResult | QueryResult[];
  return (Array.isArray(results) ? results.at(-1)?.rows : results.rows) ?? [];
}

async function naming<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw namedDatabaseError(error);
  }
}
