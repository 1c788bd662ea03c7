import type { Kysely, Transaction } from 'kysely';
import type { Schema } from './schema.ts';

/** Runs a script of any number of statements without parameters; answers the rows of its last one. */
export type RunScript = (script: string) => Promise<Record<string, unknown>[]>;

/** An open database. Only files of `db/` use `sql`. */
export interface Database {
  readonly kind: 'embedded' | 'postgres';
  readonly sql: Kysely<Schema>;
  /** Runs scripts one after the other on one connection, so that they may share a transaction. */
  session<T>(work: (run: RunScript) => Promise<T>): Promise<T>;
  /** Runs one script on any connection. */
  runScript(script: string): Promise<void>;
  close(): Promise<void>;
}

/** The database, or a transaction on it: what a query runs on. */
export type Queryable = Kysely<Schema> | Transaction<Schema>;
