import type { Kysely, Transaction } from 'kysely';
import type { Schema } from './schema.ts';

/** An open database. Only files of `db/` use `sql`. */
export interface Database {
  readonly kind: 'embedded';
  readonly sql: Kysely<Schema>;
  /** Runs several statements without parameters, for migrations. */
  runScript(script: string): Promise<void>;
  close(): Promise<void>;
}

/** The database, or a transaction on it: what a query runs on. */
export type Queryable = Kysely<Schema> | Transaction<Schema>;
