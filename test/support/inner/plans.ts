import { CompiledQuery, type KyselyPlugin } from 'kysely';
import type { Database } from '../../../src/db/database.ts';

/** A database that records its statements so that tests can explain them. */
export interface QueryRecorder {
  readonly database: Database;
  /** Runs `work`. Returns each statement with the query plan for its actual parameters. */
  readonly recordPlans: (work: () => Promise<unknown>) => Promise<string[]>;
}

/** Wraps a database to record its statements. */
export function recordQueries(database: Database): QueryRecorder {
  const executor = database.sql.getExecutor();
  let queries: CompiledQuery[] = [];
  const recorder: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      queries.push(executor.compileQuery(node, queryId));
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  };

  async function explainQuery({ sql: text, parameters }: CompiledQuery): Promise<string> {
    const explainStatement = CompiledQuery.raw(`EXPLAIN ${text}`, [...parameters]);
    const { rows } = await database.sql.executeQuery<{ 'QUERY PLAN': string }>(explainStatement);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  }

  return {
    database: { ...database, sql: database.sql.withPlugin(recorder) },
    async recordPlans(work) {
      queries = [];
      await work();
      const plans: string[] = [];
      for (const query of queries) plans.push(`${query.sql}\n${await explainQuery(query)}`);
      return plans;
    },
  };
}

/** Returns the tables that a plan reads with a sequential scan. */
export function seqScannedTables(plan: string): string[] {
  return [...plan.matchAll(/Seq Scan on (\w+)/g)].map(([, table]) => table ?? '');
}
