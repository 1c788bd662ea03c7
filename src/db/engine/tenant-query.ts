import { Query, type QueryConfig, type QueryResult } from 'pg';

/** A statement that binds the transaction in which it runs to a tenant. */
export interface BindStatement {
  /** The name under which it is prepared. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly string[];
  /** The statement without parameters. */
  readonly script: string;
}

/** The parts of `pg` that this module uses and that its type declarations lack. */
interface ProtocolConnection {
  readonly parsedStatements: Record<string, string>;
  readonly submittedNamedStatements: Record<string, string>;
  parse(statement: { name: string; text: string; types: number[] }): void;
  bind(portal: { statement: string; values: readonly string[] }): void;
  execute(portal: { portal?: string; rows?: number }): void;
}

interface ProtocolQuery {
  name: string | undefined;
  text: string;
  prepare(connection: ProtocolConnection): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: ProtocolConnection): void;
  handleError(error: unknown, connection: ProtocolConnection): void;
}

const BaseQuery = Query as unknown as new (
  config: QueryConfig & { queryMode: 'extended' },
  callback: (error: Error | undefined, result: QueryResult) => void,
) => ProtocolQuery;

/**
 * A statement that runs bound to a tenant, in one round trip. PostgreSQL runs all extended-protocol messages up to the next
 * `Sync` as one transaction. The statement that sets the tenant is therefore sent in front of the statement itself, and its
 * setting ends with this transaction: no `BEGIN` and `COMMIT` are needed, and a pooler in transaction mode cannot separate
 * them.
 */
export class TenantQuery extends BaseQuery {
  readonly #bind: BindStatement;
  readonly #statement: { readonly name: string | undefined; readonly text: string };
  /** Whether the next responses belong to the statement that sets the tenant. */
  #isBinding = true;

  constructor(
    config: QueryConfig,
    bind: BindStatement,
    callback: (error: Error | undefined, result: QueryResult) => void,
  ) {
    super({ ...config, queryMode: 'extended' }, callback);
    this.#bind = bind;
    this.#statement = { name: config.name, text: config.text };
  }

  /** Called by `pg` to send the statement. */
  override prepare(connection: ProtocolConnection): void {
    const { name, text, values } = this.#bind;
    if (connection.parsedStatements[name] === undefined) connection.parse({ name, text, types: [] });
    connection.bind({ statement: name, values });
    connection.execute({});
    super.prepare(connection);
    // `pg` records a prepared statement under the name of the current query when the server confirms it.
    Object.assign(this, { name, text });
  }

  override handleDataRow(message: unknown): void {
    if (!this.#isBinding) super.handleDataRow(message);
  }

  override handleCommandComplete(message: unknown, connection: ProtocolConnection): void {
    if (!this.#isBinding) return super.handleCommandComplete(message, connection);
    this.#isBinding = false;
    Object.assign(this, this.#statement);
  }

  override handleError(error: unknown, connection: ProtocolConnection): void {
    // If the tenant could not be set, the server has skipped the statement without preparing it.
    const { name } = this.#statement;
    if (name !== undefined) delete connection.submittedNamedStatements[name];
    super.handleError(error, connection);
  }
}
