import { createHash } from 'node:crypto';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import { LRUCache } from 'lru-cache';
import { type CustomTypesConfig, type Pool, types } from 'pg';
import type { Schema } from './schema.ts';

/** Kysely over a pool of PostgreSQL connections, be they to a server or to the embedded engine. */
export function makeQueryBuilder(pool: Pool): Kysely<Schema> {
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: preparing(pool) }) });
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
function preparing(pool: Pool): PostgresPool {
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
    async connect() {
      const client = await pool.connect();
      const query = (text: string, values: readonly unknown[]) =>
        client.query({ name: nameOf(text), text, values: [...values] });
      return { query, release: () => client.release() } as unknown as PostgresPoolClient;
    },
  };
}
