import { CompiledQuery, type KyselyPlugin } from 'kysely';
import type { Database } from '../../../src/db/database.ts';

/** A database that notes what is asked of it. */
export interface WatchedDatabase {
  readonly database: Database;
  /** Plans of all statements that `work` sends, made with the values that it sends. */
  readonly plansOf: (work: () => Promise<unknown>) => Promise<string[]>;
}

/** @see WatchedDatabase */
export function watchDatabase(database: Database): WatchedDatabase {
  const executor = database.sql.getExecutor();
  let asked: CompiledQuery[] = [];
  const noting: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      asked.push(executor.compileQuery(node, queryId));
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  };

  async function planOf({ sql: text, parameters }: CompiledQuery): Promise<string> {
    const explained = CompiledQuery.raw(`EXPLAIN ${text}`, [...parameters]);
    const { rows } = await database.sql.executeQuery<{ 'QUERY PLAN': string }>(explained);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  }

  return {
    database: { ...database, sql: database.sql.withPlugin(noting) },
    async plansOf(work) {
      asked = [];
      await work();
      const plans: string[] = [];
      for (const query of asked) plans.push(`${query.sql}\n${await planOf(query)}`);
      return plans;
    },
  };
}

/** Tables that a plan reads from end to end. */
export function tablesReadWhole(plan: string): string[] {
  return [...plan.matchAll(/Seq Scan on (\w+)/g)].map(([, table]) => table ?? '');
}
