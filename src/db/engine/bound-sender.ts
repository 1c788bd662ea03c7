import type { PoolClient, QueryConfig, QueryResult } from 'pg';
import { type BindStatement, TenantQuery } from './tenant-query.ts';

/** Statements that begin a transaction, as Kysely writes them. */
const beginPattern = /^(?:begin|start transaction)\b/i;

/**
 * Returns a function that sends statements to a client, bound to a tenant. The tenant is set for one transaction at a time and
 * never for the session: a client that goes back to the pool is not bound to anything.
 */
export function makeBoundSender(
  client: PoolClient,
  bind: BindStatement,
): (query: QueryConfig) => Promise<QueryResult> {
  return (query) => {
    const { name, text } = query;
    // Prepared separately, because the server would plan a statement again whenever the role changes.
    const ownQuery = name === undefined ? query : { ...query, name: `t${name}` };
    if (isInTransaction(client)) return client.query(ownQuery);
    return beginPattern.test(text) ? begin(client, text, bind) : sendBound(client, ownQuery, bind);
  };
}

function isInTransaction(client: PoolClient): boolean {
  const status = client.getTransactionStatus();
  return status === 'T' || status === 'E';
}

/** Begins a transaction and binds it, in one round trip. */
async function begin(client: PoolClient, text: string, bind: BindStatement): Promise<QueryResult> {
  try {
    const results = (await client.query(`${text}; ${bind.script}`)) as unknown as readonly QueryResult[];
    return results[0] as QueryResult;
  } catch (error) {
    // The transaction has begun, but nobody else will end it. If this fails, the connection is lost.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function sendBound(client: PoolClient, query: QueryConfig, bind: BindStatement): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    void client.query(
      new TenantQuery(query, bind, (error, result) => {
        if (error) reject(error);
        else resolve(result);
      }),
    );
  });
}
