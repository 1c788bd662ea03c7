import type { Kysely, Transaction } from 'kysely';
import type { TenantBinding } from './engine/tenant-binding.ts';
import type { Schema } from './schema.ts';

/** Runs an SQL script without parameters. Returns the rows of its last statement. */
export type RunScript = (script: string) => Promise<Record<string, unknown>[]>;

/** An open database. */
export interface Database {
  readonly kind: 'embedded' | 'postgres';
  /**
   * Runs queries, which are written as `sql` templates. Queries of work that is bound to a tenant (see `tenant-scope.ts`)
   * see and change only the rows of this tenant.
   */
  readonly sql: Kysely<Schema>;
  /** Returns how queries are bound to a tenant. The schema must be up to date. Detected once. */
  detectTenantBinding(): Promise<TenantBinding>;
  /** Calls `work` with a function that runs scripts on one connection, so that several scripts can share a transaction. */
  session<T>(work: (run: RunScript) => Promise<T>): Promise<T>;
  /** Runs one script on any connection. */
  runScript(script: string): Promise<void>;
  close(): Promise<void>;
}

/** The database, or a transaction on it. */
export type Queryable = Kysely<Schema> | Transaction<Schema>;
